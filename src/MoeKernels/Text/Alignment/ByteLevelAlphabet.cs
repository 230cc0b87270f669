using System.Text;

namespace MoeKernels.Text.Alignment;

/// <summary>GPT-2's map of the 256 bytes to printable characters, which byte-level vocabularies are spelt in.</summary>
internal static class ByteLevelAlphabet
{
    private static readonly int[] Chars = MakeChars();
    private static readonly Dictionary<int, byte> Bytes =
        Enumerable.Range(0, 256).ToDictionary(b => Chars[b], b => (byte)b);

    /// <summary>The character of a space.</summary>
    public const char Space = 'Ġ';

    public static bool TryGetByte(int c, out byte b) => Bytes.TryGetValue(c, out b);

    /// <summary>Appends a range of a text byte by byte; every byte has the origin of its character.</summary>
    public static void Append(AlignedText source, int start, int end, AlignedText destination)
    {
        Span<byte> utf8 = stackalloc byte[4];
        for (var i = start; i < end; i++)
        {
            var c = source.Chars[i];
            if (c < 0x80)
            {
                destination.AddFrom(source, i, Chars[c]);
                continue;
            }

            var n = new Rune(c).EncodeToUtf8(utf8);
            foreach (var b in utf8[..n])
                destination.AddFrom(source, i, Chars[b]);
        }
    }

    // Printable Latin-1 bytes are themselves; the others follow from U+0100 on in order.
    private static int[] MakeChars()
    {
        var chars = new int[256];
        var next = 0x100;
        for (var b = 0; b < 256; b++)
            chars[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? b : next++;
        return chars;
    }
}
