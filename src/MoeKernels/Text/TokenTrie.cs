namespace MoeKernels.Text;

/// <summary>Finds the longest of a set of texts at a position.</summary>
internal sealed class TokenTrie
{
    // Node and code point to node; one table instead of one per node keeps large vocabularies small.
    private readonly Dictionary<long, int> _edges = [];
    // Id of the text that ends at a node, or -1.
    private readonly List<int> _ids = [-1];

    // Most positions of a text start no token; for ASCII this tells it without a lookup.
    private readonly bool[] _starts = new bool[128];

    /// <summary>Whether no text was added.</summary>
    public bool IsEmpty => _edges.Count == 0;

    /// <summary>Adds a text; an empty one is never found.</summary>
    public void Add(ReadOnlySpan<int> text, int id)
    {
        var node = 0;
        if (text.Length > 0 && text[0] < 128)
            _starts[text[0]] = true;
        foreach (var c in text)
        {
            var key = (long)node << 32 | (uint)c;
            if (!_edges.TryGetValue(key, out var next))
            {
                _edges[key] = next = _ids.Count;
                _ids.Add(-1);
            }

            node = next;
        }

        if (node > 0)
            _ids[node] = id;
    }

    /// <summary>Finds the longest text that starts at a position.</summary>
    public bool TryMatch(ReadOnlySpan<int> text, int position, out int id, out int length)
    {
        (id, length) = (-1, 0);
        if (text[position] < 128 && !_starts[text[position]])
            return false;
        var node = 0;
        for (var i = position; i < text.Length; i++)
        {
            if (!_edges.TryGetValue((long)node << 32 | (uint)text[i], out node))
                break;
            if (_ids[node] >= 0)
                (id, length) = (_ids[node], i + 1 - position);
        }

        return length > 0;
    }

    /// <summary>Ids and lengths of all texts that start a text, shortest first.</summary>
    public List<(int Id, int Length)> Prefixes(ReadOnlySpan<int> text)
    {
        var result = new List<(int Id, int Length)>();
        var node = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (!_edges.TryGetValue((long)node << 32 | (uint)text[i], out node))
                break;
            if (_ids[node] >= 0)
                result.Add((_ids[node], i + 1));
        }

        return result;
    }
}
