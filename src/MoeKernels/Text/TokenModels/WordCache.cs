using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.TokenModels;

/// <summary>Tokens of the words one call has seen; a text repeats its words, so most are found here.</summary>
internal sealed class WordCache
{
    private const int MaxLength = 256;
    private readonly Dictionary<string, ModelToken[]> _words = [];
    private readonly Dictionary<string, ModelToken[]>.AlternateLookup<ReadOnlySpan<char>> _lookup;

    public WordCache() => _lookup = _words.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <param name="word">At most 256 code points.</param>
    /// <param name="tokens">The tokens, if the word is known.</param>
    public bool TryGet(ReadOnlySpan<int> word, out ModelToken[] tokens)
    {
        Span<char> buffer = stackalloc char[2 * MaxLength];
        var length = CodePoints.Write(word, buffer);
        return _lookup.TryGetValue(buffer[..length], out tokens!);
    }

    public void Add(ReadOnlySpan<int> word, ModelToken[] tokens) => _words[CodePoints.ToText(word)] = tokens;
}
