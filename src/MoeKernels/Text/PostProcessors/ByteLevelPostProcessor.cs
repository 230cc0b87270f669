using System.Text;
using MoeKernels.Text.Alignment;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.PostProcessors;

/// <summary><c>ByteLevel</c>: takes the spaces of tokens out of their offsets if the file asks for it.</summary>
internal sealed class ByteLevelPostProcessor(bool addPrefixSpace, bool trimOffsets) : IPostProcessor
{
    public int AddedTokens(bool isPair) => 0;

    public List<EncodingBuilder> Apply(List<EncodingBuilder> encodings, bool addSpecialTokens)
    {
        if (trimOffsets)
            TrimOffsets(encodings, addPrefixSpace);
        return encodings;
    }

    /// <summary>Trims all tokens of all windows; also a part of RoBERTa's step.</summary>
    public static void TrimOffsets(List<EncodingBuilder> encodings, bool addPrefixSpace)
    {
        foreach (var encoding in encodings)
            encoding.Update((token, i) => Trim(token, i, addPrefixSpace));
    }

    private static TokenEntry Trim(TokenEntry token, int index, bool addPrefixSpace)
    {
        var leading = token.Text.EnumerateRunes().TakeWhile(IsSpace).Count();
        var trailing = token.Text.EnumerateRunes().Reverse().TakeWhile(IsSpace).Count();
        var (start, end) = (token.Start, token.End);
        if (leading > 0)
        {
            // One space before the first token is the one that was put there, so the offsets do not hold it.
            if ((index == 0 || start == 0) && addPrefixSpace && leading == 1)
                leading = 0;
            start = Math.Min(start + leading, end);
        }

        if (trailing > 0 && end >= trailing)
            end = Math.Max(end - trailing, start);
        return token with { Start = start, End = end };
    }

    // Tokens of the byte alphabet show a space as its character; added tokens have real ones.
    private static bool IsSpace(Rune rune) =>
        rune.Value == ByteLevelAlphabet.Space || UnicodeTables.WhiteSpace.Contains(rune.Value);
}
