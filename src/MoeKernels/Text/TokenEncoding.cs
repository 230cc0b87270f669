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
        Ids = [.. builder.Tokens.Select(t => t.Id)];
        Tokens = [.. builder.Tokens.Select(t => t.Text)];
        Offsets = [.. builder.Tokens.Select(t => new TokenOffset(t.Start, t.End))];
        TypeIds = [.. builder.Tokens.Select(t => t.TypeId)];
        SpecialMask = [.. builder.Tokens.Select(t => t.IsSpecial)];
        SequenceIds = [.. builder.Tokens.Select(t => t.SequenceId)];
        AttentionMask = [.. builder.Tokens.Select(t => t.Attention)];
        WordIds = [.. builder.Tokens.Select(t => t.WordId)];
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
