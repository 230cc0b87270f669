using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Patterns;

/// <summary>A regular expression over code points in Oniguruma's Ruby syntax, ready to search; immutable.</summary>
internal sealed class Pattern
{
    private Pattern(string source, PatternNode node, string where)
    {
        Source = source;
        Where = where;
        (Code, Registers) = PatternCompiler.Compile(node, where);
        First = FirstSet(node) is (var set, false) ? set : null;
        // After a failure at the first character of a run that the pattern starts by taking, every later start in the
        // same run fails too: it could only try a part of the same ends.
        SkipsRuns = Code[0] is { Op: Op.Loop or Op.PossessiveLoop, Max: int.MaxValue };
    }

    /// <summary>The pattern as written.</summary>
    public string Source { get; }

    /// <summary>File and key that hold the pattern, for messages.</summary>
    public string Where { get; }

    public Instruction[] Code { get; }

    public int Registers { get; }

    /// <summary>Characters a match can start with; null if a match can be empty.</summary>
    public CodePointSet? First { get; }

    /// <summary>Whether a failed start rules out the rest of its run of characters.</summary>
    public bool SkipsRuns { get; }

    /// <summary>Compiles a pattern.</summary>
    /// <param name="source">Oniguruma syntax.</param>
    /// <param name="where">File and key for messages.</param>
    /// <exception cref="PatternException">The pattern is malformed.</exception>
    /// <exception cref="MoeUnsupportedException">The pattern uses a construct this matcher does not have.</exception>
    public static Pattern Compile(string source, string where = "pattern") =>
        new(source, PatternParser.Parse(source, where), where);

    /// <summary>A pattern built without a source text.</summary>
    public static Pattern FromNode(PatternNode node) => new("pattern", node, "pattern");

    /// <summary>A pattern that finds one text, character by character.</summary>
    public static Pattern Exactly(string text)
    {
        var parts = text.EnumerateRunes().Select(r => PatternNode.Literal(r.Value));
        return new Pattern(text, new PatternNode.Sequence([.. parts]), "pattern");
    }

    /// <summary>All matches from left to right; an empty match right after another match does not count.</summary>
    public List<(int Start, int End)> FindAll(ReadOnlySpan<int> text)
    {
        var matches = new List<(int Start, int End)>();
        var matcher = new PatternMatcher(this, text);
        var (position, lastEnd) = (0, -1);
        while (position <= text.Length && matcher.Find(position) is var (start, end) && start >= 0)
        {
            if (start == end && end == lastEnd)
            {
                position++;
                continue;
            }

            matches.Add((start, end));
            position = lastEnd = end;
        }

        return matches;
    }

    // The set is an upper bound; "nullable" means that the node may take nothing.
    private static (CodePointSet Set, bool Nullable) FirstSet(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.One one:
                return (one.Set, false);
            case PatternNode.Atomic atomic:
                return FirstSet(atomic.Body);
            case PatternNode.Repeat repeat:
                var (body, empty) = FirstSet(repeat.Body);
                return (body, empty || repeat.Min == 0);
            case PatternNode.Either either:
                var parts = either.Alternatives.Select(FirstSet).ToList();
                return (parts.Aggregate(CodePointSet.Empty, (a, b) => a.Union(b.Set)), parts.Any(p => p.Nullable));
            case PatternNode.Sequence sequence:
                var set = CodePointSet.Empty;
                foreach (var part in sequence.Parts)
                {
                    var (first, nullable) = FirstSet(part);
                    set = set.Union(first);
                    if (!nullable)
                        return (set, false);
                }

                return (set, true);
            default:
                return (CodePointSet.Empty, true);
        }
    }
}
