namespace MoeKernels.Models.Loading;

/// <summary>The routed experts of a layer as the kernels take them: one matrix per expert and kind, whatever the layout on
/// disk. The arrays belong to the model's memory.</summary>
internal sealed unsafe class ExpertWeights
{
    /// <summary>Number of experts E.</summary>
    public required int Count { get; init; }

    /// <summary>[E] of [intermediate × hidden]; null when not gated.</summary>
    public WeightMatrix* Gate { get; init; }

    /// <summary>[E] of [intermediate × hidden].</summary>
    public required WeightMatrix* Up { get; init; }

    /// <summary>[E] of [hidden × intermediate].</summary>
    public required WeightMatrix* Down { get; init; }

    /// <summary>[E] of [intermediate], or null without biases.</summary>
    public float** GateBias { get; init; }

    /// <summary>[E] of [intermediate], or null without biases.</summary>
    public float** UpBias { get; init; }

    /// <summary>[E] of [hidden], or null without biases.</summary>
    public float** DownBias { get; init; }
}
