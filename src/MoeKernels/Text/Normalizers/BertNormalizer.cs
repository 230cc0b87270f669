using MoeKernels.Text.Alignment;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Normalizers;

/// <summary>
/// <c>BertNormalizer</c>: cleans control characters, sets CJK ideographs apart, strips accents and lowercases, each if
/// the file asks for it.
/// </summary>
internal sealed class BertNormalizer(bool cleanText, bool spaceIdeographs, bool stripAccents, bool lowercase)
    : INormalizer
{
    private static readonly UnicodeNormalizer Decompose = new(compose: false, compatibility: false);
    private static readonly LowercaseNormalizer Lowercase = new();

    // The reference's ranges; U+2B820 to U+2B91F are not among them.
    private static readonly CodePointSet Ideographs = CodePointSet.Of(
        (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
        (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F));

    public AlignedText Apply(AlignedText text)
    {
        if (cleanText)
            text = Clean(text);
        if (spaceIdeographs)
            text = SpaceIdeographs(text);
        if (stripAccents)
            text = Decompose.Apply(text).Filter(c => c < 0x300 || !UnicodeTables.NonspacingMark8.Contains(c));
        return lowercase ? Lowercase.Apply(text) : text;
    }

    // Tab and line ends are controls, but count as white space here.
    private static AlignedText Clean(AlignedText text)
    {
        var result = text.Filter(c => c is '\t' or '\n' or '\r' || (c != 0xFFFD && !UnicodeTables.Other8.Contains(c)));
        result.Map(c => UnicodeTables.WhiteSpace.Contains(c) ? ' ' : c);
        return result;
    }

    // The spaces have the origin of their ideograph.
    private static AlignedText SpaceIdeographs(AlignedText text)
    {
        if (text.Chars.IndexOfAnyExceptInRange(0, 0x33FF) < 0)
            return text;
        var result = new AlignedText(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text.Chars[i];
            var spaced = Ideographs.Contains(c);
            if (spaced)
                result.AddFrom(text, i, ' ');
            result.AddFrom(text, i, c);
            if (spaced)
                result.AddFrom(text, i, ' ');
        }

        return result;
    }
}
