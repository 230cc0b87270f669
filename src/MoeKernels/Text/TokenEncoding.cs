namespace MoeKernels.Text;

/// <summary>Half-open range of Unicode code points of the original text (not UTF-16 units, not bytes).</summary>
/// <param name="Start">First code point.</param>
/// <param name="End">One past the last code point.</param>
public readonly record struct TokenOffset(int Start, int End);

/// <summary>What a text became: tokens and where they came from. All lists have one entry per token.</summary>
public sealed class TokenEncoding
{
    internal TokenEncoding(EncodingBuilder builder)
    {
        var count = builder.Length;
        var (ids, tokens, offsets) = (new int[count], new string[count], new TokenOffset[count]);
        var (typeIds, special, sequences) = (new int[count], new bool[count], new int?[count]);
        var (attention, words) = (new int[count], new int?[count]);
        for (var i = 0; i < count; i++)
        {
            var token = builder.Tokens[i];
            (ids[i], tokens[i], offsets[i]) = (token.Id, token.Text, new TokenOffset(token.Start, token.End));
            (typeIds[i], special[i], sequences[i]) = (token.TypeId, token.IsSpecial, token.SequenceId);
            (attention[i], words[i]) = (token.Attention, token.WordId);
        }

        (Ids, Tokens, Offsets, TypeIds) = (ids, tokens, offsets, typeIds);
        (SpecialMask, SequenceIds, AttentionMask, WordIds) = (special, sequences, attention, words);
        Overflowing = [.. builder.Overflowing.Select(o => new TokenEncoding(o))];
    }

    /// <summary>Token ids, the model's input.</summary>
    public int[] Ids { get; }

    /// <summary>The tokens as the vocabulary spells them.</summary>
    public IReadOnlyList<string> Tokens { get; }

    /// <summary>Where in the original text each token came from; (0, 0) for tokens a template added.</summary>
    public IReadOnlyList<TokenOffset> Offsets { get; }

    /// <summary>Segment of each token: 0 or what the template gives the second text, usually 1.</summary>
    public IReadOnlyList<int> TypeIds { get; }

    /// <summary>Whether a template or padding added the token.</summary>
    public IReadOnlyList<bool> SpecialMask { get; }

    /// <summary>0 for tokens of the first text, 1 for those of the second, null for added ones.</summary>
    public IReadOnlyList<int?> SequenceIds { get; }

    /// <summary>1 for tokens, 0 for padding.</summary>
    public IReadOnlyList<int> AttentionMask { get; }

    /// <summary>Number of the pre-tokenized word within its text; null for added tokens.</summary>
    public IReadOnlyList<int?> WordIds { get; }

    /// <summary>The further windows of a truncated text, in order; empty without truncation.</summary>
    public IReadOnlyList<TokenEncoding> Overflowing { get; }
}
