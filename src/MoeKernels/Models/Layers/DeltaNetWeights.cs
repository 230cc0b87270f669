namespace MoeKernels.Models.Layers;

/// <summary>The weights of a gated delta net.</summary>
internal sealed unsafe class DeltaNetWeights
{
    /// <summary>Per key head q, k, then the values and gates of its value heads.</summary>
    public required LinearWeights QueryKeyValueGate { get; init; }

    /// <summary>Per key head the betas, then the decays of its value heads.</summary>
    public required LinearWeights BetaDecay { get; init; }

    /// <summary>[taps × channels], transposed from the file.</summary>
    public required float* Convolution { get; init; }

    /// <summary>[value heads].</summary>
    public required float* DtBias { get; init; }

    /// <summary><c>-exp(A_log)</c>, [value heads].</summary>
    public required float* Rate { get; init; }

    /// <summary>Of the norm before the gate, [value dim].</summary>
    public required float* Norm { get; init; }

    /// <summary>From all value heads to the layer's output.</summary>
    public required LinearWeights Output { get; init; }
}
