using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Patterns;

/// <summary>Case-insensitive matching by the Unicode 16 case foldings, as Oniguruma does it.</summary>
internal static class CaseFolding
{
    // Simple folding of a character, and all characters with a given folding.
    private static readonly Dictionary<int, int> Simple = [];
    private static readonly Dictionary<int, List<int>> Sources = [];
    // Foldings to several letters, both ways.
    private static readonly Dictionary<string, List<int>> MultiSources = [];
    private static readonly Dictionary<int, int[]> Full = [];

    static CaseFolding()
    {
        var simple = UnicodeTables.Values("f:simple");
        for (var i = 0; i < simple.Length; i += 2)
        {
            Simple[simple[i]] = simple[i + 1];
            Add(Sources, simple[i + 1], simple[i]);
        }

        var full = UnicodeTables.Values("f:full");
        for (var i = 0; i < full.Length; i += 2 + full[i + 1])
        {
            var folded = full[(i + 2)..(i + 2 + full[i + 1])];
            Full[full[i]] = folded;
            Add(MultiSources, Key(folded), full[i]);
        }
    }

    /// <summary>All code points with the same simple folding as <paramref name="c"/>.</summary>
    public static CodePointSet Variants(int c)
    {
        var folded = Simple.GetValueOrDefault(c, c);
        var variants = Sources.GetValueOrDefault(folded, []);
        return CodePointSet.Of(variants.Append(folded).Append(c).Select(v => (v, v)));
    }

    /// <summary>A set with every variant of its members.</summary>
    public static CodePointSet Close(CodePointSet set)
    {
        // Every code point that takes part in a folding, so the cost does not grow with the set.
        var added = Simple.Keys.Concat(Sources.Keys).Where(set.Contains).SelectMany(c => Variants(c).Pairs());
        return set.Union(CodePointSet.Of(added));
    }

    /// <summary>
    /// Turns literals under <c>(?i)</c> into sets; where a few of them are the folding of one character ("ss" of "ß"),
    /// that character is an alternative, and the other way round.
    /// </summary>
    public static PatternNode Expand(List<int> literals)
    {
        var parts = new List<PatternNode>();
        for (var i = 0; i < literals.Count;)
        {
            var (length, sources) = LongestMulti(literals, i);
            if (sources is not null)
            {
                var single = new PatternNode.One(CodePointSet.Of(sources.Select(s => (s, s))));
                var letters = literals.GetRange(i, length).Select(c => new PatternNode.One(Variants(c)));
                parts.Add(new PatternNode.Either([new PatternNode.Sequence([.. letters]), single]));
                i += length;
                continue;
            }

            parts.Add(ExpandOne(literals[i++]));
        }

        return parts.Count == 1 ? parts[0] : new PatternNode.Sequence(parts);
    }

    /// <summary>
    /// A class under <c>(?i)</c>: a member that folds to several letters, as "ß" does, also matches them spelt out.
    /// </summary>
    public static PatternNode ExpandClass(CodePointSet set)
    {
        var spelt = new List<PatternNode> { new PatternNode.One(set) };
        foreach (var (c, folded) in Full)
        {
            // Where the class takes the first letter alone anyway, taking both at once brings nothing new.
            if (set.Contains(c) && !set.Contains(folded[0]))
                spelt.Add(new PatternNode.Sequence([.. folded.Select(f => new PatternNode.One(Variants(f)))]));
        }

        return spelt.Count == 1 ? spelt[0] : new PatternNode.Either(spelt);
    }

    // One literal: its variants, and its folding spelt out if that is several letters.
    private static PatternNode ExpandOne(int c)
    {
        if (!Full.TryGetValue(c, out var folded))
            return new PatternNode.One(Variants(c));
        // All characters with the same full folding match each other, and so does the folding spelt out.
        var same = MultiSources[Key(folded)].Select(s => (s, s)).Append((c, c));
        return new PatternNode.Either([
            new PatternNode.One(CodePointSet.Of(same)),
            new PatternNode.Sequence([.. folded.Select(f => new PatternNode.One(Variants(f)))]),
        ]);
    }

    // The longest stretch of literals that is the folding of one character; foldings have at most three letters.
    private static (int Length, List<int>? Sources) LongestMulti(List<int> literals, int start)
    {
        for (var length = Math.Min(3, literals.Count - start); length >= 2; length--)
        {
            var folded = literals.GetRange(start, length).Select(c => Simple.GetValueOrDefault(c, c));
            if (MultiSources.TryGetValue(Key(folded), out var sources))
                return (length, sources);
        }

        return (0, null);
    }

    private static string Key(IEnumerable<int> chars) => string.Join(' ', chars);

    private static void Add<TKey>(Dictionary<TKey, List<int>> map, TKey key, int value)
        where TKey : notnull
    {
        if (!map.TryGetValue(key, out var list))
            map[key] = list = [];
        list.Add(value);
    }
}
