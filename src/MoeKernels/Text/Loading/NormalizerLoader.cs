using MoeKernels.Text.Normalizers;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>normalizer</c>.</summary>
internal static class NormalizerLoader
{
    public static INormalizer? Load(Section section) => section.IsNull ? null : LoadStep(section, 0);

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
            var type => throw new MoeUnsupportedException($"normalizer {type}", section.Where),
        };
    }
}
