using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>
/// Strings as Python sees them: sequences of code points. A surrogate pair counts once; a lone surrogate (an escape
/// in a template can make one) counts as itself.
/// </summary>
internal static class PyText
{
    /// <summary>White space of <c>str.isspace</c> and <c>strip</c>; all of it lies in the BMP.</summary>
    public static bool IsSpace(int c) => c switch
    {
        >= 0x09 and <= 0x0D or >= 0x1C and <= 0x20 or 0x85 or 0xA0 => true,
        < 0x1680 => false,
        0x1680 or >= 0x2000 and <= 0x200A or 0x2028 or 0x2029 or 0x202F or 0x205F or 0x3000 => true,
        _ => false,
    };

    /// <summary>Line boundaries of <c>str.splitlines</c>.</summary>
    public static bool IsLineBreak(char c) =>
        c is >= '\n' and <= '\r' or >= '\x1C' and <= '\x1E' or '\x85' or '\u2028' or '\u2029';

    public static string TrimStart(string text)
    {
        int start = 0;
        while (start < text.Length && IsSpace(text[start]))
            start++;
        return text[start..];
    }

    public static string TrimEnd(string text)
    {
        int end = text.Length;
        while (end > 0 && IsSpace(text[end - 1]))
            end--;
        return text[..end];
    }

    public static string Trim(string text) => TrimStart(TrimEnd(text));

    /// <summary>Number of code points.</summary>
    public static int Length(ReadOnlySpan<char> text)
    {
        int length = text.Length;
        for (int i = text.IndexOfAnyInRange('\uD800', '\uDBFF'); i >= 0 && i + 1 < text.Length; i++)
        {
            if (char.IsSurrogatePair(text[i], text[i + 1]))
            {
                length--;
                i++;
            }

            int next = i + 1 < text.Length ? text[(i + 1)..].IndexOfAnyInRange('\uD800', '\uDBFF') : -1;
            if (next < 0)
                break;
            i += next;
        }

        return length;
    }

    public static bool IsSimple(string text) => !text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF');

    /// <summary>Code point at UTF-16 index <paramref name="at"/> and how many units it takes.</summary>
    public static int CodeAt(ReadOnlySpan<char> text, int at, out int units)
    {
        bool pair = at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]);
        units = pair ? 2 : 1;
        return pair ? char.ConvertToUtf32(text[at], text[at + 1]) : text[at];
    }

    public static string First(ReadOnlySpan<char> text)
    {
        CodeAt(text, 0, out int units);
        return text[..units].ToString();
    }

    public static int[] Codes(string text)
    {
        Budget.ChargeText(text.Length);
        var codes = new int[Length(text)];
        int at = 0;
        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] = CodeAt(text, at, out int units);
            at += units;
        }

        return codes;
    }

    public static void Append(StringBuilder text, int code)
    {
        if (code < 0x10000)
            text.Append((char)code);
        else
            text.Append(char.ConvertFromUtf32(code));
    }

    public static string FromCodes(IEnumerable<int> codes)
    {
        var text = new StringBuilder();
        foreach (int code in codes)
            Append(text, code);
        return text.ToString();
    }

    /// <summary>The characters as strings of one code point each.</summary>
    public static IEnumerable<object?> Characters(string text)
    {
        for (int at = 0; at < text.Length;)
        {
            CodeAt(text, at, out int units);
            Budget.ChargeText(units);
            yield return text.Substring(at, units);
            at += units;
        }
    }

    /// <summary>Order by code point; UTF-16 order differs where surrogates meet U+E000 and above.</summary>
    public static int Compare(string left, string right)
    {
        int at = left.AsSpan().CommonPrefixLength(right);
        Budget.ChargeSteps(1 + (at >> 4));
        if (at == left.Length || at == right.Length)
            return left.Length.CompareTo(right.Length);
        char a = left[at], b = right[at];
        return char.IsSurrogate(a) == char.IsSurrogate(b) ? a.CompareTo(b) : char.IsSurrogate(a) ? 1 : -1;
    }

    public static string Repeat(string text, int count)
    {
        Budget.ChargeText((long)text.Length * count);
        return text.Length == 0 || count == 0 ? "" : new StringBuilder(text.Length * count)
            .Insert(0, text, count).ToString();
    }

    /// <summary>One code point by index, negative from the end; null outside.</summary>
    public static string? At(string text, int index)
    {
        if (IsSimple(text))
        {
            int at = index < 0 ? index + text.Length : index;
            return at >= 0 && at < text.Length ? text[at].ToString() : null;
        }

        int[] codes = Codes(text);
        int position = index < 0 ? index + codes.Length : index;
        return position >= 0 && position < codes.Length ? FromCodes([codes[position]]) : null;
    }

    public static string Slice(string text, PySlice slice)
    {
        int[] codes = Codes(text);
        return FromCodes(slice.Indices(codes.Length).Select(i => codes[i]));
    }

    /// <summary>UTF-16 index of code point <paramref name="index"/>.</summary>
    public static int Offset(string text, int index)
    {
        if (IsSimple(text))
            return Math.Min(index, text.Length);
        int at = 0;
        for (int i = 0; i < index && at < text.Length; i++)
        {
            CodeAt(text, at, out int units);
            at += units;
        }

        return at;
    }

    public static string Substring(string text, int start, int count)
    {
        int from = Offset(text, Math.Max(0, start));
        int to = Offset(text, Math.Max(start, start + count));
        return text[from..Math.Max(from, to)];
    }

    public static IEnumerable<string> Lines(string text, bool keepEnds = false)
    {
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (!IsLineBreak(text[i]))
                continue;
            int end = i;
            if (text[i] == '\r' && i + 1 < text.Length && text[i + 1] == '\n')
                i++;
            yield return keepEnds ? text[start..(i + 1)] : text[start..end];
            start = i + 1;
        }

        if (start < text.Length)
            yield return text[start..];
    }

    public static string Pad(string text, int width, char fill, bool left, bool right)
    {
        int missing = width - Length(text);
        if (missing <= 0)
            return text;
        Budget.ChargeText((long)width * 2);
        // Python puts the odd blank of a centred text left only if the width is odd.
        int before = !left ? 0 : !right ? missing : (missing / 2) + (missing & width & 1);
        return new string(fill, before) + text + new string(fill, missing - before);
    }
}
