namespace MoeKernels.Text.Decoders;

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

    // The clean-up works token by token, so it sees the space that was just put in front.
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

/// <summary><c>Strip</c>: cuts up to a number of leading and trailing characters of one kind off each token.</summary>
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

    // Whether the content lies at an index, all of it before the end.
    private bool StartsAt(string token, int index, int end) =>
        index >= 0 && index + content.Length <= end
        && string.CompareOrdinal(token, index, content, 0, content.Length) == 0;
}
