using System.Text;

namespace MoeKernels.Text.Alignment;

/// <summary>Conversions between UTF-16 strings and code points.</summary>
internal static class CodePoints
{
    /// <summary>Code points of a string; a lone surrogate, which JSON escapes can spell, becomes U+FFFD.</summary>
    public static int[] Of(string text)
    {
        var result = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes())
            result.Add(rune.Value);
        return [.. result];
    }

    /// <summary>UTF-16 text of code points.</summary>
    public static string ToText(ReadOnlySpan<int> chars)
    {
        var builder = new StringBuilder(chars.Length);
        foreach (var c in chars)
        {
            if (c < 0x10000)
                builder.Append((char)c);
            else
                builder.Append(char.ConvertFromUtf32(c));
        }

        return builder.ToString();
    }

    /// <summary>Writes UTF-16 into <paramref name="destination"/>, with room for two units a code point.</summary>
    public static int Write(ReadOnlySpan<int> chars, Span<char> destination)
    {
        var n = 0;
        foreach (var c in chars)
        {
            if (c < 0x10000)
                destination[n++] = (char)c;
            else
            {
                destination[n++] = (char)(0xD800 + (c - 0x10000 >> 10));
                destination[n++] = (char)(0xDC00 + (c & 0x3FF));
            }
        }

        return n;
    }

    /// <summary>Bytes of a code point in UTF-8.</summary>
    public static int Utf8Length(int c) => c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}
