using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Patterns;

/// <summary>How a repetition gives characters back.</summary>
internal enum RepeatKind
{
    /// <summary>As many as possible, fewer on failure.</summary>
    Greedy,

    /// <summary>As few as possible, more on failure.</summary>
    Lazy,

    /// <summary>As many as possible, never fewer.</summary>
    Possessive,
}

/// <summary>Conditions on a position that take no character.</summary>
internal enum PositionTest
{
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    TextEndOrLastNewline,
    SearchStart,
    WordBoundary,
    NotWordBoundary,
}

/// <summary>Syntax tree of a pattern.</summary>
internal abstract record PatternNode
{
    /// <summary>One code point of a set.</summary>
    internal sealed record One(CodePointSet Set) : PatternNode;

    /// <summary>One literal under <c>(?i)</c>; neighbours may fold together with it, as "ss" does with "ß".</summary>
    internal sealed record Folded(int Char) : PatternNode;

    /// <summary>Parts one after another; empty matches the empty text.</summary>
    internal sealed record Sequence(IReadOnlyList<PatternNode> Parts) : PatternNode;

    /// <summary>The first alternative that lets the rest match.</summary>
    internal sealed record Either(IReadOnlyList<PatternNode> Alternatives) : PatternNode;

    /// <summary>Min to Max times (Max -1: no limit).</summary>
    internal sealed record Repeat(PatternNode Body, int Min, int Max, RepeatKind Kind) : PatternNode;

    /// <summary>Lookahead or lookbehind.</summary>
    internal sealed record Look(PatternNode Body, bool Behind, bool Negative) : PatternNode;

    /// <summary>Its first match only: no way back into it.</summary>
    internal sealed record Atomic(PatternNode Body) : PatternNode;

    /// <summary>A position.</summary>
    internal sealed record At(PositionTest Test) : PatternNode;

    public static PatternNode Empty { get; } = new Sequence([]);

    public static PatternNode Literal(int c) => new One(CodePointSet.Single(c));

    /// <summary>Fewest and most code points a match takes (most: int.MaxValue if there is no limit).</summary>
    public (int Min, int Max) Width() => this switch
    {
        One or Folded => (1, 1),
        Sequence s => s.Parts.Select(p => p.Width())
            .Aggregate((0, 0), (a, b) => (Sum(a.Item1, b.Min), Sum(a.Item2, b.Max))),
        Either e => e.Alternatives.Select(a => a.Width())
            .Aggregate((a, b) => (Math.Min(a.Min, b.Min), Math.Max(a.Max, b.Max))),
        Repeat r => RepeatWidth(r),
        Atomic a => a.Body.Width(),
        _ => (0, 0),
    };

    private static (int Min, int Max) RepeatWidth(Repeat r)
    {
        var (min, max) = r.Body.Width();
        var most = max == 0 || r.Max == 0 ? 0 : r.Max < 0 ? int.MaxValue : Product(max, r.Max);
        return (Product(min, r.Min), most);
    }

    private static int Sum(int a, int b) => (int)Math.Min((long)a + b, int.MaxValue);

    private static int Product(int a, int b) => (int)Math.Min((long)a * b, int.MaxValue);
}
