namespace MoeKernels.Models.Layers;

/// <summary>The weights of an attention layer.</summary>
internal sealed unsafe class AttentionWeights
{
    /// <summary>[heads * head dim × hidden]; twice the rows with an output gate.</summary>
    public required LinearWeights Query { get; init; }

    /// <summary>[kv heads * head dim × hidden].</summary>
    public required LinearWeights Key { get; init; }

    /// <summary>[kv heads * head dim × hidden].</summary>
    public required LinearWeights Value { get; init; }

    /// <summary>[hidden × heads * head dim].</summary>
    public required LinearWeights Output { get; init; }

    /// <summary>Null without query norm.</summary>
    public NormLayer? QueryNorm { get; init; }

    /// <summary>Null without key norm.</summary>
    public NormLayer? KeyNorm { get; init; }

    /// <summary>Null without rotary positions.</summary>
    public RopeTable? Rope { get; init; }

    /// <summary>Null without relative positions.</summary>
    public RelativePositionBias? RelativeBias { get; init; }

    /// <summary>[heads], or null.</summary>
    public float* Sinks { get; init; }

    /// <summary>The four matrices.</summary>
    public AttentionProjections Projections => new(Query, Key, Value, Output);
}
