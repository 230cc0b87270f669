using MoeKernels.Text.Alignment;
using MoeKernels.Text.Normalizers;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text;

/// <summary>A token of the file's <c>added_tokens</c>, with its flags.</summary>
internal sealed record AddedToken(int Id, string Content)
{
    /// <summary>Only where no word character stands next to it.</summary>
    public bool SingleWord { get; init; }

    /// <summary>Takes the white space before it along.</summary>
    public bool StripLeft { get; init; }

    /// <summary>Takes the white space after it along.</summary>
    public bool StripRight { get; init; }

    /// <summary>Is looked for, itself normalized, in normalized text.</summary>
    public bool Normalized { get; init; }

    /// <summary>Is left out of decoded text on request.</summary>
    public bool Special { get; init; }
}

/// <summary>The added tokens of a tokenizer: found in text before anything else happens to it.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<int, AddedToken> _byId = [];
    private readonly Dictionary<string, int> _ids = [];
    // Normalized content of normalized tokens.
    private readonly Dictionary<int, string> _decoded = [];
    private readonly HashSet<string> _special = [];
    // Tokens looked for before and after normalization.
    private readonly TokenTrie _raw = new();
    private readonly TokenTrie _normalized = new();
    private readonly INormalizer? _normalizer;

    public AddedTokens(IEnumerable<AddedToken> tokens, INormalizer? normalizer)
    {
        _normalizer = normalizer;
        foreach (var token in tokens)
        {
            _byId[token.Id] = token;
            _ids[token.Content] = token.Id;
            if (token.Special)
                _special.Add(token.Content);
        }

        foreach (var token in _byId.Values)
        {
            var pattern = CodePoints.Of(token.Content);
            if (token.Normalized && normalizer is not null)
            {
                pattern = normalizer.Apply(AlignedText.FromString(token.Content)).Chars.ToArray();
                _decoded[token.Id] = CodePoints.ToText(pattern);
            }

            (token.Normalized ? _normalized : _raw).Add(pattern, token.Id);
        }
    }

    /// <summary>All added tokens by their ids.</summary>
    public IReadOnlyDictionary<int, AddedToken> ById => _byId;

    /// <summary>Id of an added token by its content as the file has it.</summary>
    public bool TryGetId(string content, out int id) => _ids.TryGetValue(content, out id);

    /// <summary>
    /// Text of an added token as decoding sees it: that of a normalized token is its normalized content.
    /// </summary>
    public string? DecodedText(int id) =>
        _byId.TryGetValue(id, out var token) ? _decoded.GetValueOrDefault(id, token.Content) : null;

    /// <summary>Whether decoding leaves this text out; the comparison is by text, as in the reference.</summary>
    public bool IsSpecialText(string text) => _special.Contains(text);

    /// <summary>Cuts text into added tokens and normalized text.</summary>
    public List<Piece> Extract(AlignedText text)
    {
        var result = new List<Piece>();
        foreach (var piece in Find(new Piece(text, 0, text.Length), _raw))
        {
            if (piece.IsToken)
            {
                result.Add(piece);
                continue;
            }

            var whole = piece;
            if (_normalizer is not null)
            {
                // A lone piece that is the whole text needs no copy.
                var slice = piece.Length == text.Length ? text : text.Slice(piece.Start, piece.End);
                var normalized = _normalizer.Apply(slice);
                whole = new Piece(normalized, 0, normalized.Length);
            }

            result.AddRange(Find(whole, _normalized));
        }

        return result;
    }

    // A scan of non-overlapping matches, the leftmost and there the longest; only then do the flags apply, so a match
    // that single_word rejects hides shorter ones.
    private List<Piece> Find(Piece piece, TokenTrie trie)
    {
        if (trie.IsEmpty)
            return piece.Length > 0 ? [piece] : [];
        var result = new List<Piece>();
        var chars = piece.Chars;
        var done = 0;
        for (var position = 0; position < chars.Length;)
        {
            if (!trie.TryMatch(chars, position, out var id, out var length))
            {
                position++;
                continue;
            }

            var (start, end) = (position, position + length);
            position = end;
            var token = _byId[id];
            if (token.SingleWord && (IsWord(chars, start - 1) || IsWord(chars, end)))
                continue;
            if (token.StripLeft)
                start = Math.Max(start, done);
            while (token.StripLeft && start > done && UnicodeTables.WhiteSpace.Contains(chars[start - 1]))
                start--;
            while (token.StripRight && end < chars.Length && UnicodeTables.WhiteSpace.Contains(chars[end]))
                end++;
            if (start > done)
                result.Add(piece with { Start = piece.Start + done, End = piece.Start + start });
            result.Add(new Piece(piece.Text, piece.Start + start, piece.Start + end, id));
            done = end;
        }

        if (done < chars.Length)
            result.Add(piece with { Start = piece.Start + done });
        return result;
    }

    // The ends of the text are no word; \w is that of Rust's regular expressions.
    private static bool IsWord(ReadOnlySpan<int> chars, int index) =>
        (uint)index < chars.Length && UnicodeTables.RustWord.Contains(chars[index]);
}
