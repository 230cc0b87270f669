using System.Buffers;
using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.TokenModels;

/// <summary>Tokens of a model and their ids, both ways; immutable.</summary>
internal sealed class Vocabulary
{
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly Dictionary<int, string> _texts;

    public Vocabulary(Dictionary<string, int> ids)
    {
        _ids = ids;
        _lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        Count = ids.Count;
        _texts = new Dictionary<int, string>(ids.Count);
        foreach (var (text, id) in ids)
            _texts[id] = text;
    }

    /// <param name="ids">Ids by text.</param>
    /// <param name="texts">Texts in the order of their ids; a text that comes twice has two ids.</param>
    public Vocabulary(Dictionary<string, int> ids, IEnumerable<string> texts)
        : this(ids)
    {
        Count = 0;
        foreach (var text in texts)
            _texts[Count++] = text;
    }

    /// <summary>Number of entries; the first added token has this id.</summary>
    public int Count { get; }

    /// <summary>All tokens with their ids.</summary>
    public IEnumerable<KeyValuePair<string, int>> Entries => _ids;

    /// <summary>Id of a token by its text.</summary>
    public bool TryGetId(string text, out int id) => _ids.TryGetValue(text, out id);

    /// <summary>Text of a token, or null if there is none of that id.</summary>
    public string? TextOf(int id) => _texts.GetValueOrDefault(id);

    /// <summary>Looks up code points without making a string of them.</summary>
    public bool TryGetId(ReadOnlySpan<int> chars, out int id)
    {
        char[]? rented = null;
        var buffer = chars.Length <= 128
            ? stackalloc char[256]
            : rented = ArrayPool<char>.Shared.Rent(2 * chars.Length);
        var length = CodePoints.Write(chars, buffer);
        var found = _lookup.TryGetValue(buffer[..length], out id);
        if (rented is not null)
            ArrayPool<char>.Shared.Return(rented);
        return found;
    }
}
