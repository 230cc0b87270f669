namespace MoeKernels.Generation;

/// <summary>Sizes of a session.</summary>
public sealed record SessionOptions
{
    /// <summary>Longest context the session can hold; null: the model's load options, at most what the model
    /// allows.</summary>
    public int? ContextLength { get; init; }

    /// <summary>Tokens of a prompt computed per forward call: more is faster and takes more workspace.</summary>
    public int PrefillChunk { get; init; } = 512;
}
