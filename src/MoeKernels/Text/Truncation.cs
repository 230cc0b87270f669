namespace MoeKernels.Text;

/// <summary>Cuts encodings to a length, before the post-processor adds its tokens.</summary>
internal static class Truncation
{
    /// <param name="encodings">One or two encodings, changed in place.</param>
    /// <param name="options">The caller's wish.</param>
    /// <param name="added">Tokens the post-processor will add.</param>
    /// <exception cref="ArgumentException">The wish cannot be met.</exception>
    public static void Apply(List<EncodingBuilder> encodings, TruncationOptions options, int added)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(options.Stride);
        var maxLength = options.MaxLength - added;
        if (maxLength < 0)
            throw new ArgumentException($"A length of {options.MaxLength} has no room for {added} added tokens.");
        var total = encodings.Sum(e => e.Length);
        if (maxLength > 0 && total <= maxLength)
            return;
        var lengths = Lengths(encodings, options.Strategy, maxLength, total);
        for (var i = 0; i < encodings.Count; i++)
            encodings[i] = Cut(encodings[i], lengths[i], options);
    }

    // Tokens each text may keep.
    private static int[] Lengths(
        List<EncodingBuilder> encodings, TruncationStrategy strategy, int maxLength, int total)
    {
        int[] lengths = [.. encodings.Select(e => e.Length)];
        if (maxLength == 0)
            return new int[lengths.Length];
        if (strategy != TruncationStrategy.LongestFirst)
        {
            var target = strategy == TruncationStrategy.OnlyFirst ? 0 : 1;
            if (target >= lengths.Length)
                throw new ArgumentException("Truncation of the second text needs a pair of texts.");
            if (lengths[target] <= total - maxLength)
                throw new ArgumentException("The text to cut is too short to make the sequence fit.");
            lengths[target] -= total - maxLength;
            return lengths;
        }

        return lengths.Length == 1 ? [maxLength] : LongestFirst(lengths[0], lengths[1], maxLength);
    }

    // The shorter text stays whole if the longer one then still is the longer; else both get half.
    private static int[] LongestFirst(int first, int second, int maxLength)
    {
        var shorter = Math.Min(first, second);
        var longer = shorter > maxLength ? shorter : Math.Max(shorter, maxLength - shorter);
        if (shorter + longer > maxLength)
        {
            shorter = maxLength / 2;
            longer = shorter + maxLength % 2;
        }

        return first > second ? [longer, shorter] : [shorter, longer];
    }

    // The first window, with all others as its overflow. Nothing kept means that all of it overflows.
    private static EncodingBuilder Cut(EncodingBuilder encoding, int maxLength, TruncationOptions options)
    {
        if (maxLength >= encoding.Length)
            return encoding;
        var windows = new List<EncodingBuilder>();
        if (maxLength == 0)
            windows.AddRange([new EncodingBuilder(), encoding]);
        else if (options.Stride >= maxLength)
            throw new ArgumentException($"The stride {options.Stride} must be less than the {maxLength} tokens left.");
        else
        {
            foreach (var (start, end) in Windows(encoding.Length, maxLength, options))
                windows.Add(EncodingBuilder.Of(encoding.Tokens.GetRange(start, end - start)));
        }

        windows[0].Overflowing.AddRange(windows[1..]);
        return windows[0];
    }

    // Windows overlap by the stride; cutting at the left counts them from the end.
    private static IEnumerable<(int Start, int End)> Windows(int length, int maxLength, TruncationOptions options)
    {
        var step = maxLength - options.Stride;
        for (var done = 0; ; done += step)
        {
            var rest = Math.Min(maxLength, length - done);
            yield return options.Direction == TextSide.Right
                ? (done, done + rest)
                : (length - done - rest, length - done);
            if (done + rest == length)
                yield break;
        }
    }
}
