using MoeKernels.Text.Patterns;
using MoeKernels.Text.PreTokenizers;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>pre_tokenizer</c>.</summary>
internal static class PreTokenizerLoader
{
    private static readonly PatternSplitter WordsOnly = new(RustWords(), SplitBehavior.Removed, true);

    /// <exception cref="MoeUnsupportedException">A step is not one of the format's.</exception>
    public static IPreTokenizer? Load(Section section) => section.IsNull ? null : LoadStep(section, 0);

    // Sequences may hold sequences; the depth keeps a hostile file off the stack.
    private static IPreTokenizer LoadStep(Section section, int depth)
    {
        if (depth > 32)
            throw section.Error("is nested too deeply");
        return section.Type switch
        {
            "Sequence" => new PreTokenizerSequence(
                [.. section.Required("pretokenizers").Items().Select(s => LoadStep(s, depth + 1))]),
            "ByteLevel" => new ByteLevelPreTokenizer(
                section.Bool("add_prefix_space", true), section.Bool("use_regex", true)),
            "Split" => new PatternSplitter(
                PatternLoader.Load(section.Required("pattern")),
                LoadBehavior(section.Required("behavior")),
                section.Bool("invert", false)),
            "Metaspace" => new MetaspacePreTokenizer(
                section.Required("replacement").AsChar(), LoadScheme(section), section.Bool("split", true)),
            "Whitespace" => WordsOnly,
            "WhitespaceSplit" => new CharSplitter(UnicodeTables.WhiteSpace, SplitBehavior.Removed),
            "BertPreTokenizer" => new PreTokenizerSequence([
                new CharSplitter(UnicodeTables.WhiteSpace, SplitBehavior.Removed),
                new CharSplitter(UnicodeTables.Punctuation8, SplitBehavior.Isolated),
            ]),
            "Punctuation" => new CharSplitter(
                UnicodeTables.Punctuation8,
                section["behavior"] is { IsNull: false } behavior ? LoadBehavior(behavior) : SplitBehavior.Isolated),
            "Digits" => new CharSplitter(
                UnicodeTables.Number,
                section.Bool("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
            "CharDelimiterSplit" => new CharSplitter(
                CodePointSet.Single(section.Required("delimiter").AsChar()), SplitBehavior.Removed),
            "FixedLength" => LoadFixedLength(section["length"]),
            "UnicodeScripts" => new ScriptSplitter(),
            var type => throw new MoeUnsupportedException($"pre-tokenizer {type}", section.Where),
        };
    }

    // The reference's default length is 5.
    private static FixedLengthSplitter LoadFixedLength(Section length)
    {
        var value = length.IsNull ? 5 : length.AsInt();
        return value > 0 ? new FixedLengthSplitter(value) : throw length.Error("is not positive");
    }

    // Names as the format writes them.
    private static SplitBehavior LoadBehavior(Section section) => section.AsText() switch
    {
        "Removed" => SplitBehavior.Removed,
        "Isolated" => SplitBehavior.Isolated,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        var other => throw section.Error($"has the unknown value '{other}'"),
    };

    /// <summary>Reads the scheme of a Metaspace step, also in the form of files before 2024.</summary>
    public static PrependScheme LoadScheme(Section section)
    {
        var scheme = section.Text("prepend_scheme", "always") switch
        {
            "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            "never" => PrependScheme.Never,
            var other => throw section["prepend_scheme"].Error($"has the unknown value '{other}'"),
        };
        return section.Bool("add_prefix_space", true) ? scheme : PrependScheme.Never;
    }

    // \w+|[^\w\s]+ of Rust's regular expressions, whose \w has the joiners.
    private static Pattern RustWords()
    {
        var other = UnicodeTables.RustWord.Union(UnicodeTables.WhiteSpace).Negate();
        return Pattern.FromNode(new PatternNode.Either([
            new PatternNode.Repeat(new PatternNode.One(UnicodeTables.RustWord), 1, -1, RepeatKind.Greedy),
            new PatternNode.Repeat(new PatternNode.One(other), 1, -1, RepeatKind.Greedy),
        ]));
    }
}
