using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.TokenModels;

/// <summary>WordPiece: from the left the longest token that fits; a word that leaves a rest is unknown.</summary>
internal sealed class WordPieceModel : ITokenModel
{
    private readonly TokenTrie _first = new();
    private readonly TokenTrie _further = new();
    private readonly UnknownToken _unknown;
    private readonly int _maxLength;

    /// <param name="vocabulary">All tokens.</param>
    /// <param name="prefix">Prefix of tokens that continue a word.</param>
    /// <param name="unknown">The unknown token.</param>
    /// <param name="maxLength">Most characters of a word; longer ones are unknown.</param>
    public WordPieceModel(Vocabulary vocabulary, string prefix, UnknownToken unknown, int maxLength)
    {
        Vocabulary = vocabulary;
        _unknown = unknown;
        _maxLength = maxLength;
        foreach (var (text, id) in vocabulary.Entries)
        {
            _first.Add(CodePoints.Of(text), id);
            if (text.StartsWith(prefix, StringComparison.Ordinal))
                _further.Add(CodePoints.Of(text[prefix.Length..]), id);
        }
    }

    public Vocabulary Vocabulary { get; }

    public ITokenSession Start() => new Session(this);

    private sealed class Session(WordPieceModel model) : ITokenSession
    {
        public IReadOnlyList<ModelToken> Tokenize(ReadOnlySpan<int> word)
        {
            if (word.Length > model._maxLength)
                return [Unknown(word)];
            var tokens = new List<ModelToken>();
            var position = 0;
            while (position < word.Length)
            {
                var trie = position == 0 ? model._first : model._further;
                if (!trie.TryMatch(word, position, out var id, out var length))
                    return [Unknown(word)];
                tokens.Add(new ModelToken(id, position, position + length));
                position += length;
            }

            return tokens;
        }

        private ModelToken Unknown(ReadOnlySpan<int> word) => new(model._unknown.Required, 0, word.Length);
    }
}
