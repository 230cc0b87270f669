using MoeKernels.Text.Alignment;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Normalizers;

/// <summary><c>NFC</c>, <c>NFD</c>, <c>NFKC</c>, <c>NFKD</c>.</summary>
internal sealed class UnicodeNormalizer(bool compose, bool compatibility) : INormalizer
{
    public AlignedText Apply(AlignedText text)
    {
        // Text below U+00A0 has no decomposition and no marks, U+00A0 to U+02FF none that NFC would change.
        var untouched = compose && !compatibility ? 0x300 : 0xA0;
        if (text.Chars.IndexOfAnyExceptInRange(0, untouched - 1) < 0)
            return text;
        return text.Transform(compose
            ? NormalizationForms.Compose(text.Chars, compatibility)
            : NormalizationForms.Decompose(text.Chars, compatibility));
    }
}
