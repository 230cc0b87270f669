using System.Text;
using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.TokenModels;

/// <summary>Byte-pair encoding of the words of one text, with a cache of the words already seen.</summary>
internal sealed class BpeSession(BpeModel model) : ITokenSession
{
    // Longer words hardly come twice, and keeping them would double a text that is one word.
    private const int MaxCachedLength = 256;

    private readonly WordCache _cache = new();
    private readonly List<Symbol> _symbols = [];
    private readonly PriorityQueue<(int Position, int Id), long> _queue = new();

    /// <summary>A token in the making: linked to its neighbours, its length in UTF-8 bytes (0: joined away).</summary>
    private record struct Symbol(int Id, int Previous, int Next, int Bytes);

    /// <inheritdoc/>
    public IReadOnlyList<ModelToken> Tokenize(ReadOnlySpan<int> word)
    {
        if (word.Length == 0)
            return [];
        if (word.Length > MaxCachedLength)
            return Encode(word);
        if (!_cache.TryGet(word, out var tokens))
            _cache.Add(word, tokens = [.. Encode(word)]);
        return tokens;
    }

    // Symbols, then merges, then tokens; lists are reused from word to word.
    private List<ModelToken> Encode(ReadOnlySpan<int> word)
    {
        if (model.Options.IgnoreMerges && model.Vocabulary.TryGetId(word, out var whole))
            return [new ModelToken(whole, 0, word.Length)];
        _symbols.Clear();
        AddSymbols(word);
        Merge();
        return Collect(word);
    }

    // Follows the reference step by step: an unknown character waits for its neighbours and is written when the next
    // known one comes, but not by byte tokens in between.
    private void AddSymbols(ReadOnlySpan<int> word)
    {
        var unknownBytes = 0;
        for (var i = 0; i < word.Length; i++)
        {
            var (first, last) = (i == 0, i == word.Length - 1);
            if (model.TryGetSymbol(word[i], first, last, out var id))
            {
                FlushUnknown(ref unknownBytes);
                Add(id, CodePoints.Utf8Length(word[i]));
            }
            else if (!(model.Options.ByteFallback && TryAddBytes(model.SymbolText(word[i], first, last))))
            {
                if (model.Options.Unknown is null)
                    continue;
                if (!model.Options.FuseUnknown)
                    FlushUnknown(ref unknownBytes);
                unknownBytes += CodePoints.Utf8Length(word[i]);
            }
        }

        FlushUnknown(ref unknownBytes);
    }

    // Writes the unknown characters that have waited as one token.
    private void FlushUnknown(ref int bytes)
    {
        if (bytes > 0)
            Add(model.Options.Unknown!.Required, bytes);
        bytes = 0;
    }

    // All bytes or none: a character is never part bytes, part unknown.
    private bool TryAddBytes(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Any(b => model.ByteId(b) is null))
            return false;
        foreach (var b in bytes)
            Add(model.ByteId(b)!.Value, 1);
        return true;
    }

    // Appends a symbol and links it to the one before.
    private void Add(int id, int bytes)
    {
        var n = _symbols.Count;
        if (n > 0)
            _symbols[n - 1] = _symbols[n - 1] with { Next = n };
        _symbols.Add(new Symbol(id, n - 1, -1, bytes));
    }

    // A heap of (rank, position): long texts without a pre-tokenizer are one word, where rescanning is quadratic.
    private void Merge()
    {
        _queue.Clear();
        for (var i = 0; i + 1 < _symbols.Count; i++)
            Offer(i, i + 1);
        while (_queue.TryDequeue(out var entry, out _))
        {
            var position = entry.Position;
            var left = _symbols[position];
            if (left.Bytes == 0 || left.Next < 0)
                continue;
            var right = _symbols[left.Next];
            // An entry is stale when its pair has changed since; the reference compares the joined token only.
            if (!model.TryMerge(left.Id, right.Id, out var merge) || merge.Id != entry.Id)
                continue;
            _symbols[left.Next] = right with { Bytes = 0 };
            _symbols[position] = left = left with
            {
                Id = merge.Id,
                Bytes = left.Bytes + right.Bytes,
                Next = right.Next,
            };
            if (right.Next >= 0)
            {
                _symbols[right.Next] = _symbols[right.Next] with { Previous = position };
                Offer(position, right.Next);
            }

            if (left.Previous >= 0)
                Offer(left.Previous, position);
        }
    }

    // Queues a pair if it merges. Among equal ranks the leftmost comes first.
    private void Offer(int left, int right)
    {
        if (model.TryMerge(_symbols[left].Id, _symbols[right].Id, out var merge))
            _queue.Enqueue((left, merge.Id), (long)merge.Rank << 32 | (uint)left);
    }

    // Lengths are in bytes, since byte tokens are parts of a character; every token shares its character's place.
    private List<ModelToken> Collect(ReadOnlySpan<int> word)
    {
        var tokens = new List<ModelToken>(_symbols.Count);
        var (index, indexByte, bytes) = (0, 0, 0);
        foreach (var symbol in _symbols)
        {
            if (symbol.Bytes == 0)
                continue;
            Advance(word, bytes, ref index, ref indexByte);
            var start = index;
            bytes += symbol.Bytes;
            Advance(word, bytes - 1, ref index, ref indexByte);
            tokens.Add(new ModelToken(symbol.Id, start, Math.Min(index + 1, word.Length)));
        }

        return tokens;
    }

    // Moves to the character that holds a byte.
    private static void Advance(ReadOnlySpan<int> word, int target, ref int index, ref int indexByte)
    {
        while (index < word.Length - 1 && indexByte + CodePoints.Utf8Length(word[index]) <= target)
            indexByte += CodePoints.Utf8Length(word[index++]);
    }
}
