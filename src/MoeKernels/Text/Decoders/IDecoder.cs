using System.Text;
using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.Decoders;

/// <summary>A step that turns tokens back into text; the results of the last step are joined. Immutable.</summary>
internal interface IDecoder
{
    List<string> Apply(List<string> tokens);
}

/// <summary>Steps one after another.</summary>
internal sealed class DecoderSequence(IReadOnlyList<IDecoder> steps) : IDecoder
{
    public List<string> Apply(List<string> tokens)
    {
        foreach (var step in steps)
            tokens = step.Apply(tokens);
        return tokens;
    }
}

/// <summary>A step that rewrites each token on its own.</summary>
internal sealed class MapDecoder(Func<string, string> map) : IDecoder
{
    public List<string> Apply(List<string> tokens) => [.. tokens.Select(map)];
}

/// <summary><c>Fuse</c>: joins all tokens to one, so that later steps see the whole text.</summary>
internal sealed class FuseDecoder : IDecoder
{
    public List<string> Apply(List<string> tokens) => [string.Concat(tokens)];
}

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

    private static bool TryGetByte(string token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && byte.TryParse(token.AsSpan(3, 2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out value);
    }
}

/// <summary><c>Metaspace</c>: the visible space becomes a space, or nothing in the first token.</summary>
internal sealed class MetaspaceDecoder(string replacement, bool dropsFirst) : IDecoder
{
    public List<string> Apply(List<string> tokens) =>
        [.. tokens.Select((t, i) => t.Replace(replacement, i == 0 && dropsFirst ? "" : " ", StringComparison.Ordinal))];
}

/// <summary><c>WordPiece</c>: a space before every token that does not continue a word.</summary>
internal sealed class WordPieceDecoder(string prefix, bool cleanup) : IDecoder
{
    public List<string> Apply(List<string> tokens) => [.. tokens.Select(Decode)];

    private string Decode(string token, int index)
    {
        if (index > 0)
            token = token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
        return cleanup ? CleanUp.Apply(token) : token;
    }
}

/// <summary><c>BPEDecoder</c>: the end-of-word suffix becomes a space, or nothing in the last token.</summary>
internal sealed class BpeDecoder(string suffix) : IDecoder
{
    public List<string> Apply(List<string> tokens) =>
        [.. tokens.Select((t, i) => Texts.Replace(t, suffix, i == tokens.Count - 1 ? "" : " "))];
}

/// <summary><c>CTC</c>: repeated tokens count once, padding is dropped, the delimiter becomes a space.</summary>
internal sealed class CtcDecoder(string pad, string delimiter, bool cleanup) : IDecoder
{
    public List<string> Apply(List<string> tokens)
    {
        var result = new List<string>();
        string? previous = null;
        foreach (var token in tokens)
        {
            if (token == previous)
                continue;
            previous = token;
            var text = Texts.Replace(token, pad, "");
            if (cleanup)
                text = Texts.Replace(CleanUp.Apply(text), delimiter, " ");
            if (text.Length > 0)
                result.Add(text);
        }

        return result;
    }
}

/// <summary><c>Strip</c>: up to a number of leading and trailing characters of one kind are cut off each token.</summary>
internal sealed class StripDecoder(string content, int start, int stop) : IDecoder
{
    public List<string> Apply(List<string> tokens) => [.. tokens.Select(Strip)];

    private string Strip(string token)
    {
        var (low, high) = (0, token.Length);
        for (var i = 0; i < start && StartsAt(token, low, high); i++)
            low += content.Length;
        for (var i = 0; i < stop && StartsAt(token, high - content.Length, high) && high > low; i++)
            high -= content.Length;
        return token[low..high];
    }

    private bool StartsAt(string token, int index, int end) =>
        index >= 0 && index + content.Length <= end
        && string.CompareOrdinal(token, index, content, 0, content.Length) == 0;
}
