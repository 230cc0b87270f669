namespace MoeKernels.Models.Layers;

/// <summary>The weights of an MLA layer.</summary>
internal sealed class MlaWeights
{
    /// <summary>From the layer's input to the queries, or to their low rank when <see cref="QueryUp"/> is
    /// there.</summary>
    public required LinearWeights Query { get; init; }

    /// <summary>Over the low rank; null with a direct query projection.</summary>
    public NormLayer? QueryNorm { get; init; }

    /// <summary>From the low rank to the queries; null with a direct query projection.</summary>
    public LinearWeights? QueryUp { get; init; }

    /// <summary>From the layer's input to latent and shared key.</summary>
    public required LinearWeights KvDown { get; init; }

    /// <summary>Over the latent.</summary>
    public required NormLayer KvNorm { get; init; }

    /// <summary>Per head, key rows then value rows over the latent.</summary>
    public required LinearWeights KvUp { get; init; }

    /// <summary>From all heads' values to the layer's output.</summary>
    public required LinearWeights Output { get; init; }

    /// <summary>Angles of the rotary part.</summary>
    public required RopeTable Rope { get; init; }
}
