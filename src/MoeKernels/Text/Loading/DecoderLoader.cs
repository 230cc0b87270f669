using MoeKernels.Text.Alignment;
using MoeKernels.Text.Decoders;
using MoeKernels.Text.PreTokenizers;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>decoder</c>.</summary>
internal static class DecoderLoader
{
    /// <exception cref="MoeUnsupportedException">A step is not one of the format's.</exception>
    public static IDecoder? Load(Section section) => section.IsNull ? null : LoadStep(section, 0);

    // Sequences may hold sequences; the depth keeps a hostile file off the stack.
    private static IDecoder LoadStep(Section section, int depth)
    {
        if (depth > 32)
            throw section.Error("is nested too deeply");
        return section.Type switch
        {
            "Sequence" => new DecoderSequence(
                [.. section.Required("decoders").Items().Select(s => LoadStep(s, depth + 1))]),
            "ByteLevel" => new ByteLevelDecoder(),
            "ByteFallback" => new ByteFallbackDecoder(),
            "Fuse" => new FuseDecoder(),
            "Metaspace" => new MetaspaceDecoder(
                CharText(section.Required("replacement")),
                PreTokenizerLoader.LoadScheme(section) != PrependScheme.Never),
            "WordPiece" => new WordPieceDecoder(section.Text("prefix", "##"), section.Bool("cleanup", true)),
            "BPEDecoder" => new BpeDecoder(section.Text("suffix", "</w>")),
            "CTC" => new CtcDecoder(
                section.Text("pad_token", "<pad>"),
                section.Text("word_delimiter_token", "|"),
                section.Bool("cleanup", true)),
            "Strip" => new StripDecoder(
                CharText(section.Required("content")),
                section.Required("start").AsInt(),
                section.Required("stop").AsInt()),
            "Replace" => LoadReplace(section),
            var type => throw new MoeUnsupportedException($"decoder {type}", section.Where),
        };
    }

    // A single character, as text.
    private static string CharText(Section section) => char.ConvertFromUtf32(section.AsChar());

    private static ReplaceDecoder LoadReplace(Section section) =>
        new(PatternLoader.LoadReplacement(section.Required("pattern")), section.Required("content").AsText());
}
