using System.Text;
using MoeKernels.Text.Alignment;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Normalizers;

/// <summary><c>Lowercase</c>: character by character, without the final sigma.</summary>
internal sealed class LowercaseNormalizer : INormalizer
{
    // The one character whose lower case is two: LATIN CAPITAL LETTER I WITH DOT ABOVE.
    private const int DottedI = 0x130, DotAbove = 0x307;

    public AlignedText Apply(AlignedText text)
    {
        var result = new AlignedText(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text.Chars[i];
            if (c == DottedI)
            {
                result.AddFrom(text, i, 'i');
                result.AddFrom(text, i, DotAbove);
            }
            else
                result.AddFrom(text, i, ToLower(c));
        }

        return result;
    }

    // Simple lower case of Unicode 16, which .NET has without ICU for all characters but dotted I.
    private static int ToLower(int c) =>
        c < 0x80 ? c is >= 'A' and <= 'Z' ? c | 0x20 : c : Rune.ToLowerInvariant(new Rune(c)).Value;
}

/// <summary><c>StripAccents</c>: drops all marks.</summary>
internal sealed class StripAccentsNormalizer : INormalizer
{
    public AlignedText Apply(AlignedText text) => text.Filter(c => !UnicodeTables.Mark9.Contains(c));
}

/// <summary><c>Strip</c>: drops white space at the ends.</summary>
internal sealed class StripNormalizer(bool left, bool right) : INormalizer
{
    public AlignedText Apply(AlignedText text)
    {
        var (start, end) = (0, text.Length);
        while (left && start < end && UnicodeTables.WhiteSpace.Contains(text.Chars[start]))
            start++;
        while (right && end > start && UnicodeTables.WhiteSpace.Contains(text.Chars[end - 1]))
            end--;
        return end - start == text.Length ? text : text.Slice(start, end);
    }
}

/// <summary><c>Prepend</c>: puts text in front of text that is not empty.</summary>
internal sealed class PrependNormalizer(string prefix) : INormalizer
{
    // Code points of the text.
    private readonly int[] _prefix = CodePoints.Of(prefix);

    public AlignedText Apply(AlignedText text) => text.Prepend(_prefix);
}

/// <summary><c>ByteLevel</c>: every byte as a printable character.</summary>
internal sealed class ByteLevelNormalizer : INormalizer
{
    public AlignedText Apply(AlignedText text)
    {
        var result = new AlignedText(text.Length);
        ByteLevelAlphabet.Append(text, 0, text.Length, result);
        return result;
    }
}

/// <summary><c>Nmt</c>: drops control characters and makes spaces of other blanks.</summary>
internal sealed class NmtNormalizer : INormalizer
{
    // Both sets are those of SentencePiece's nmt_nfkc rule, as the reference lists them.
    private static readonly CodePointSet Dropped = CodePointSet.Of(
        (0x01, 0x08), (0x0B, 0x0B), (0x0E, 0x1F), (0x7F, 0x7F), (0x8F, 0x8F), (0x9F, 0x9F));

    private static readonly CodePointSet Blanks = CodePointSet.Of(
        (0x09, 0x0A), (0x0C, 0x0D), (0x1680, 0x1680), (0x200B, 0x200F), (0x2028, 0x2029), (0x2581, 0x2581),
        (0xFEFF, 0xFEFF), (0xFFFD, 0xFFFD));

    public AlignedText Apply(AlignedText text)
    {
        var result = text.Filter(c => !Dropped.Contains(c));
        result.Map(c => Blanks.Contains(c) ? ' ' : c);
        return result;
    }
}
