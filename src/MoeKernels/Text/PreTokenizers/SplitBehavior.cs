namespace MoeKernels.Text.PreTokenizers;

/// <summary>What becomes of a delimiter; names as in <c>tokenizer.json</c>.</summary>
internal enum SplitBehavior
{
    /// <summary>It is dropped.</summary>
    Removed,

    /// <summary>It is a part of its own.</summary>
    Isolated,

    /// <summary>It ends the part before it.</summary>
    MergedWithPrevious,

    /// <summary>It starts the part after it.</summary>
    MergedWithNext,

    /// <summary>Neighbouring delimiters are one part.</summary>
    Contiguous,
}

/// <summary>A stretch of text, delimiter or not; stretches cover a text without gaps.</summary>
internal readonly record struct Stretch(int Start, int End, bool IsMatch)
{
    /// <summary>Fills the gaps between matches (ascending) with stretches that are no match.</summary>
    public static List<Stretch> Cover(IEnumerable<(int Start, int End)> matches, int length, bool invert = false)
    {
        var result = new List<Stretch>();
        var end = 0;
        foreach (var match in matches)
        {
            if (match.Start > end)
                result.Add(new Stretch(end, match.Start, invert));
            result.Add(new Stretch(match.Start, match.End, !invert));
            end = match.End;
        }

        if (end < length)
            result.Add(new Stretch(end, length, invert));
        return result;
    }

    /// <summary>The parts a text falls into.</summary>
    public static List<(int Start, int End)> Parts(List<Stretch> stretches, SplitBehavior behavior) => behavior switch
    {
        SplitBehavior.Removed => [.. stretches.Where(s => !s.IsMatch).Select(s => (s.Start, s.End))],
        SplitBehavior.Isolated => [.. stretches.Select(s => (s.Start, s.End))],
        SplitBehavior.Contiguous => Join(stretches, (s, previous) => s.IsMatch == previous),
        SplitBehavior.MergedWithPrevious => Join(stretches, (s, previous) => s.IsMatch && !previous),
        _ => JoinBackwards(stretches),
    };

    // Joins a stretch to the part before it where a rule on the stretch and the one before says so.
    private static List<(int Start, int End)> Join(List<Stretch> stretches, Func<Stretch, bool, bool> joins)
    {
        var parts = new List<(int Start, int End)>();
        var previous = false;
        foreach (var stretch in stretches)
        {
            if (joins(stretch, previous) && parts.Count > 0)
                parts[^1] = (parts[^1].Start, stretch.End);
            else
                parts.Add((stretch.Start, stretch.End));
            previous = stretch.IsMatch;
        }

        return parts;
    }

    // MergedWithPrevious from the right: a delimiter joins what follows it, of a run only the last one.
    private static List<(int Start, int End)> JoinBackwards(List<Stretch> stretches)
    {
        var parts = new List<(int Start, int End)>();
        var previous = false;
        for (var i = stretches.Count - 1; i >= 0; i--)
        {
            var stretch = stretches[i];
            if (stretch.IsMatch && !previous && parts.Count > 0)
                parts[^1] = (stretch.Start, parts[^1].End);
            else
                parts.Add((stretch.Start, stretch.End));
            previous = stretch.IsMatch;
        }

        parts.Reverse();
        return parts;
    }
}
