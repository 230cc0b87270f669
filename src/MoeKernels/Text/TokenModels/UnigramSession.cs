using System.Text;
using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.TokenModels;

/// <summary>Viterbi search for the best split of each word of one text, with a cache of words seen.</summary>
internal sealed class UnigramSession(UnigramModel model) : ITokenSession
{
    // Longer words hardly come twice.
    private const int MaxCachedLength = 256;
    private readonly WordCache _cache = new();

    /// <summary>Best way to a position: sum of scores, last token and its start (-1: not reached).</summary>
    private record struct Best(double Score, int Id, int Start);

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

    private List<ModelToken> Encode(ReadOnlySpan<int> word)
    {
        var tokens = new List<ModelToken>();
        foreach (var (start, end) in Split(word))
            AddPart(word, start, end, tokens);
        return tokens;
    }

    // Left to right; ties stay with the way found first, which is the one with the longer last token.
    private List<(int Start, int End)> Split(ReadOnlySpan<int> word)
    {
        var best = new Best[word.Length + 1];
        best.AsSpan(1).Fill(new Best(0, 0, -1));
        for (var start = 0; start < word.Length; start++)
        {
            var single = false;
            foreach (var (id, length) in model.Trie.Prefixes(word[start..]))
            {
                Offer(best, start, start + length, id, model.Score(id));
                single |= length == 1;
            }

            if (!single)
                Offer(best, start, start + 1, model.Unknown.Required, model.UnknownScore);
        }

        return Backtrack(best);
    }

    // Keeps the better way to a position.
    private static void Offer(Best[] best, int start, int end, int id, double score)
    {
        var sum = best[start].Score + score;
        if (best[end].Start < 0 || sum > best[end].Score)
            best[end] = new Best(sum, id, start);
    }

    // Neighbouring unknown characters are one part.
    private List<(int Start, int End)> Backtrack(Best[] best)
    {
        var parts = new List<(int Start, int End)>();
        var fusing = false;
        for (var end = best.Length - 1; end > 0; end = best[end].Start)
        {
            var unknown = best[end].Id == model.Unknown.Id;
            if (unknown && fusing)
                parts[^1] = (best[end].Start, parts[^1].End);
            else
                parts.Add((best[end].Start, end));
            fusing = unknown;
        }

        parts.Reverse();
        return parts;
    }

    // Joined unknown characters may spell a token after all; else they are bytes or unknown.
    private void AddPart(ReadOnlySpan<int> word, int start, int end, List<ModelToken> tokens)
    {
        var part = word[start..end];
        if (model.Vocabulary.TryGetId(part, out var id))
        {
            tokens.Add(new ModelToken(id, start, end));
            return;
        }

        var text = CodePoints.ToText(part);
        var bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.All(b => model.ByteId(b) is not null))
            tokens.AddRange(bytes.Select(b => new ModelToken(model.ByteId(b)!.Value, start, end)));
        else
            tokens.Add(new ModelToken(model.Unknown.Required, start, end, text));
    }
}
