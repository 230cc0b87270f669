namespace MoeKernels.Text;

/// <summary>What <see cref="Tokenizer.Encode"/> does beside encoding.</summary>
public sealed record EncodingOptions
{
    /// <summary>Cuts long texts; null keeps them whole.</summary>
    public TruncationOptions? Truncation { get; init; }

    /// <summary>Fills up short sequences; null leaves them short.</summary>
    public PaddingOptions? Padding { get; init; }
}

/// <summary>Which text of a pair gives up tokens.</summary>
public enum TruncationStrategy
{
    /// <summary>The longer one first, until both fit.</summary>
    LongestFirst,

    /// <summary>The first text only.</summary>
    OnlyFirst,

    /// <summary>The second text only.</summary>
    OnlySecond,
}

/// <summary>Side at which something happens.</summary>
public enum TextSide
{
    /// <summary>The start of the sequence.</summary>
    Left,

    /// <summary>The end of the sequence.</summary>
    Right,
}

/// <summary>How a text is cut into windows of limited length.</summary>
/// <param name="MaxLength">Most tokens of a window, those a template adds included.</param>
public sealed record TruncationOptions(int MaxLength)
{
    /// <summary>Tokens that neighbouring windows share; the windows after the first are in Overflowing.</summary>
    public int Stride { get; init; }

    /// <summary>Which text of a pair is cut.</summary>
    public TruncationStrategy Strategy { get; init; }

    /// <summary>Side that is cut off.</summary>
    public TextSide Direction { get; init; } = TextSide.Right;
}

/// <summary>How sequences are filled up.</summary>
/// <param name="PadId">Id of the padding token.</param>
/// <param name="PadToken">Text of the padding token.</param>
public sealed record PaddingOptions(int PadId, string PadToken)
{
    /// <summary>Tokens to fill up to; null fills up to the longest sequence of the call.</summary>
    public int? Length { get; init; }

    /// <summary>Rounds the length up to a multiple; 0 or null does not.</summary>
    public int? PadToMultipleOf { get; init; }

    /// <summary>Type id of padding.</summary>
    public int PadTypeId { get; init; }

    /// <summary>Side that is filled.</summary>
    public TextSide Direction { get; init; } = TextSide.Right;
}
