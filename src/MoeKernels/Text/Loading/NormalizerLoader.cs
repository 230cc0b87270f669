using MoeKernels.Text.Normalizers;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>normalizer</c>.</summary>
internal static class NormalizerLoader
{
    /// <exception cref="MoeUnsupportedException">A step is not one of the format's.</exception>
    public static INormalizer? Load(Section section) => section.IsNull ? null : LoadStep(section, 0);

    // Sequences may hold sequences; the depth keeps a hostile file off the stack.
    private static INormalizer LoadStep(Section section, int depth)
    {
        if (depth > 32)
            throw section.Error("is nested too deeply");
        return section.Type switch
        {
            "Sequence" => new NormalizerSequence(
                [.. section.Required("normalizers").Items().Select(s => LoadStep(s, depth + 1))]),
            "NFC" => new UnicodeNormalizer(compose: true, compatibility: false),
            "NFD" => new UnicodeNormalizer(compose: false, compatibility: false),
            "NFKC" => new UnicodeNormalizer(compose: true, compatibility: true),
            "NFKD" => new UnicodeNormalizer(compose: false, compatibility: true),
            "Lowercase" => new LowercaseNormalizer(),
            "Strip" => new StripNormalizer(section.Bool("strip_left", true), section.Bool("strip_right", true)),
            "StripAccents" => new StripAccentsNormalizer(),
            "Prepend" => new PrependNormalizer(section.Required("prepend").AsText()),
            "Replace" => new ReplaceNormalizer(
                PatternLoader.LoadReplacement(section.Required("pattern")), section.Required("content").AsText()),
            "Nmt" => new NmtNormalizer(),
            "ByteLevel" => new ByteLevelNormalizer(),
            "BertNormalizer" => LoadBert(section),
            "Precompiled" => LoadPrecompiled(section),
            var type => throw new MoeUnsupportedException($"normalizer {type}", section.Where),
        };
    }

    // Whether accents are stripped follows lowercasing unless the file decides it.
    private static BertNormalizer LoadBert(Section section)
    {
        var lowercase = section.Bool("lowercase", true);
        return new BertNormalizer(
            section.Bool("clean_text", true),
            section.Bool("handle_chinese_chars", true),
            section.Bool("strip_accents", lowercase),
            lowercase);
    }

    // A null map is what conversion writes for a model without one: it changes nothing.
    private static INormalizer LoadPrecompiled(Section section)
    {
        var map = section["precompiled_charsmap"];
        if (map.IsNull)
            return new NormalizerSequence([]);
        var text = map.AsText();
        var bytes = new byte[text.Length];
        if (!Convert.TryFromBase64String(text, bytes, out var length))
            throw map.Error("is not base64");
        return PrecompiledNormalizer.TryCreate(bytes[..length]) ?? throw map.Error("is not a character map");
    }
}
