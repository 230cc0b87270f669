using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Description;

/// <summary>Which keys a query may see, besides causality.</summary>
internal enum AttentionWindow
{
    Full,

    /// <summary>The last <see cref="AttentionSpec.WindowSize"/> positions, the query's own included.</summary>
    Sliding,

    /// <summary>Positions of the query's own block of <see cref="AttentionSpec.WindowSize"/> positions.</summary>
    Chunked,
}

/// <summary>Where keys and values come from.</summary>
internal enum KeySource
{
    /// <summary>The sequence itself, earlier positions only.</summary>
    Causal,

    /// <summary>The sequence itself, both directions (encoders).</summary>
    Bidirectional,

    /// <summary>The encoder's output (cross attention).</summary>
    Encoder,
}

/// <summary>When queries and keys are normalised.</summary>
internal enum QueryKeyNorm
{
    None,

    /// <summary>Each head by itself, before RoPE (Qwen3).</summary>
    PerHead,

    /// <summary>All heads together, before RoPE (OLMoE, MiniMax-M2).</summary>
    FullWidth,

    /// <summary>Each head by itself without weights, after RoPE, on layers with RoPE only (Llama-4).</summary>
    PerHeadAfterRope,
}

/// <summary>Llama-4's temperature: queries of layers without RoPE are scaled by
/// <c>1 + Scale * log(floor((position + 1) / Floor) + 1)</c>.</summary>
internal sealed record TemperatureSpec(float Scale, float Floor)
{
    /// <summary>The factor at a position; in double precision with one rounding, since single-precision logarithms
    /// differ between C libraries.</summary>
    public float At(int position) => (float)(1 + (Scale * Math.Log(1 + Math.Floor((position + 1.0) / Floor))));
}

/// <summary>T5's relative position bias: one learned number per (bucket of distance, head), shared by a
/// stack.</summary>
internal sealed record RelativeBiasSpec(TensorName Tensor, int Buckets, int MaxDistance, bool Bidirectional);

/// <summary>Attention with grouped key/value heads.</summary>
internal sealed record AttentionSpec : LayerSpec
{
    public required int Heads { get; init; }

    public required int KeyValueHeads { get; init; }

    /// <summary>Elements of a query, key and value head.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Multiplies the scores.</summary>
    public required float Scale { get; init; }

    /// <summary>[Heads * HeadDim × hidden]; twice the rows when <see cref="OutputGate"/>.</summary>
    public required LinearSpec Query { get; init; }

    public required LinearSpec Key { get; init; }

    public required LinearSpec Value { get; init; }

    public required LinearSpec Output { get; init; }

    public KeySource Source { get; init; }

    public QueryKeyNorm Norm { get; init; }

    public NormSpec? QueryNorm { get; init; }

    public NormSpec? KeyNorm { get; init; }

    /// <summary>Null for layers without rotary positions.</summary>
    public RopeSpec? Rope { get; init; }

    public AttentionWindow Window { get; init; }

    public int WindowSize { get; init; }

    /// <summary>Clamps q, k and v to ± this after their norms and before RoPE (OLMoE).</summary>
    public float? Clip { get; init; }

    /// <summary>One learned logit per head that takes part in the softmax without a value (GPT-OSS).</summary>
    public TensorName? Sinks { get; init; }

    /// <summary>Each query head's rows are followed by as many gate rows; the output is multiplied by their sigmoid
    /// (Qwen3-Next).</summary>
    public bool OutputGate { get; init; }

    public TemperatureSpec? Temperature { get; init; }

    public RelativeBiasSpec? RelativeBias { get; init; }

    /// <inheritdoc/>
    public override long StateBytes(int contextLength) =>
        Source == KeySource.Bidirectional ? 0 : KeyValueCache.Bytes(KeyValueHeads, HeadDim, contextLength);

    /// <inheritdoc/>
    public override long ScratchFloats(int rows, int contextLength, int threads) => Source switch
    {
        KeySource.Bidirectional => EncoderAttentionLayer.ScratchFloats(this, rows),
        KeySource.Encoder => CrossAttentionLayer.ScratchFloats(this, rows, contextLength),
        _ => CausalScratchFloats(rows, contextLength),
    };

    private long CausalScratchFloats(int rows, int contextLength) =>
        Workspace.Rounded((long)rows * Query.Outputs)
        + (2 * Workspace.Rounded((long)rows * Key.Outputs))
        + Workspace.Rounded((long)rows * Heads * HeadDim)
        + (RelativeBias is null ? 0 : RelativePositionBias.ScratchFloats(Heads, rows, contextLength))
        + Workspace.Rounded(rows)
        + Math.Max(Workspace.Rounded(rows), Workspace.Rounded((long)rows * (Rope?.Dimensions ?? 0)));
}
