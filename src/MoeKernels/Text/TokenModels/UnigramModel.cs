using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.TokenModels;

/// <summary>Unigram language model: the split into tokens with the highest sum of scores (log probabilities).</summary>
internal sealed class UnigramModel : ITokenModel
{
    // An unknown character costs this much more than the least likely token.
    private const double UnknownPenalty = 10;

    private readonly double[] _scores;
    private readonly TokenTrie _trie = new();
    private readonly int?[] _byteIds = new int?[256];

    /// <param name="tokens">Tokens and scores in the order of their ids; the last of equal tokens counts.</param>
    /// <param name="unknown">The unknown token.</param>
    /// <param name="byteFallback">Whether unknown text is spelt in &lt;0xNN&gt; tokens.</param>
    public UnigramModel(IReadOnlyList<(string Text, double Score)> tokens, UnknownToken unknown, bool byteFallback)
    {
        Unknown = unknown;
        _scores = [.. tokens.Select(t => t.Score)];
        UnknownScore = (_scores.Length == 0 ? 0 : _scores.Min()) - UnknownPenalty;
        var ids = new Dictionary<string, int>();
        for (var id = 0; id < tokens.Count; id++)
            ids[tokens[id].Text] = id;
        Vocabulary = new Vocabulary(ids, tokens.Select(t => t.Text));
        foreach (var (text, id) in ids)
            _trie.Add(CodePoints.Of(text), id);
        for (var b = 0; byteFallback && b < 256; b++)
            _byteIds[b] = Vocabulary.TryGetId($"<0x{b:X2}>", out var id) ? id : null;
    }

    public Vocabulary Vocabulary { get; }

    public UnknownToken Unknown { get; }

    public double UnknownScore { get; }

    public TokenTrie Trie => _trie;

    public double Score(int id) => _scores[id];

    public int? ByteId(byte b) => _byteIds[b];

    public ITokenSession Start() => new UnigramSession(this);
}
