using System.Runtime.InteropServices;

namespace MoeKernels.Text;

/// <summary>
/// Decodes tokens one at a time and hands out text only when it is certain: never half a character, and the pieces
/// joined are what <see cref="Tokenizer.Decode"/> makes of all tokens. Not thread-safe; create one per generation.
/// </summary>
public sealed class DecodeStream
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecialTokens;

    // Tokens whose text decides how the next one reads: those of the last chunk and those held back since.
    private readonly List<int> _ids = [];
    private string _prefix = "";
    private int _prefixIndex;

    internal DecodeStream(Tokenizer tokenizer, bool skipSpecialTokens)
    {
        _tokenizer = tokenizer;
        _skipSpecialTokens = skipSpecialTokens;
    }

    /// <summary>Takes the next token.</summary>
    /// <param name="id">Token id.</param>
    /// <returns>The text that is new and certain, or null if this token alone does not settle any.</returns>
    public string? Push(int id)
    {
        if (_prefix.Length == 0 && _ids.Count > 0)
        {
            var decoded = DecodeHeld();
            if (!decoded.EndsWith('\uFFFD'))
                (_prefix, _prefixIndex) = (decoded, _ids.Count);
        }

        _ids.Add(id);
        var text = DecodeHeld();
        // A text that ends in U+FFFD may be a character of which bytes are still to come.
        if (text.Length <= _prefix.Length || text.EndsWith('\uFFFD'))
            return null;
        var chunk = Rest(text);
        var next = _ids.Count - _prefixIndex;
        _ids.RemoveRange(0, _prefixIndex);
        (_prefix, _prefixIndex) = (DecodeHeld(), next);
        return chunk;
    }

    /// <summary>Ends the stream.</summary>
    /// <returns>Text held back so far (an unfinished character reads as U+FFFD), or null if there is none.</returns>
    public string? Flush()
    {
        var rest = Rest(DecodeHeld());
        _ids.Clear();
        (_prefix, _prefixIndex) = ("", 0);
        return rest.Length == 0 ? null : rest;
    }

    // The text after what was handed out. A bad byte turns the byte tokens before it into U+FFFD as well, some of which
    // may be out as letters already: then the rest starts where those end, at a whole character.
    private string Rest(string text)
    {
        var start = Math.Min(_prefix.Length, text.Length);
        return text[(start < text.Length && char.IsLowSurrogate(text[start]) ? start + 1 : start)..];
    }

    private string DecodeHeld() => _tokenizer.Decode(CollectionsMarshal.AsSpan(_ids), _skipSpecialTokens);
}
