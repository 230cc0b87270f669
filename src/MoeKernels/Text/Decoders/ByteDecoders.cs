using System.Globalization;
using System.Text;
using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.Decoders;

/// <summary><c>ByteLevel</c>: maps characters back to bytes and reads all of them as UTF-8.</summary>
internal sealed class ByteLevelDecoder : IDecoder
{
    // Bytes that are no UTF-8 become one U+FFFD per maximal invalid part, which is what .NET's decoder does as well.
    public List<string> Apply(List<string> tokens)
    {
        var bytes = new List<byte>();
        foreach (var token in tokens)
        {
            var before = bytes.Count;
            foreach (var rune in token.EnumerateRunes())
            {
                if (!ByteLevelAlphabet.TryGetByte(rune.Value, out var b))
                {
                    // A token with a character outside the alphabet is text as it stands.
                    bytes.RemoveRange(before, bytes.Count - before);
                    bytes.AddRange(Encoding.UTF8.GetBytes(token));
                    break;
                }

                bytes.Add(b);
            }
        }

        return [Encoding.UTF8.GetString([.. bytes])];
    }
}

/// <summary><c>ByteFallback</c>: runs of &lt;0xNN&gt; tokens become the text they spell.</summary>
internal sealed class ByteFallbackDecoder : IDecoder
{
    // Throws on bytes that are no UTF-8.
    private static readonly UTF8Encoding Strict = new(false, true);

    public List<string> Apply(List<string> tokens)
    {
        var result = new List<string>(tokens.Count);
        var bytes = new List<byte>();
        foreach (var token in tokens)
        {
            if (TryGetByte(token, out var b))
            {
                bytes.Add(b);
                continue;
            }

            Flush(bytes, result);
            result.Add(token);
        }

        Flush(bytes, result);
        return result;
    }

    // A run that is no UTF-8 becomes one U+FFFD for every byte of it, good ones included.
    private static void Flush(List<byte> bytes, List<string> result)
    {
        if (bytes.Count == 0)
            return;
        try
        {
            result.Add(Strict.GetString([.. bytes]));
        }
        catch (DecoderFallbackException)
        {
            result.AddRange(Enumerable.Repeat("\uFFFD", bytes.Count));
        }

        bytes.Clear();
    }

    // Exactly "<0xNN>".
    private static bool TryGetByte(string token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, null, out value);
    }
}
