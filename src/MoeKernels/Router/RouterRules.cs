namespace MoeKernels.Router;

/// <summary>The function that turns a token's router logits into scores before experts are chosen.</summary>
public enum RouterScore
{
    /// <summary>Softmax over all experts.</summary>
    Softmax,

    /// <summary>Sigmoid of each logit by itself.</summary>
    Sigmoid,

    /// <summary>The logits themselves.</summary>
    None,
}

/// <summary>How expert groups restrict the choice. Group g holds experts <c>[g E/G, (g + 1) E/G)</c>.</summary>
public enum GroupRule
{
    /// <summary>No groups: the best experts of all.</summary>
    None,

    /// <summary>A group counts as its best expert; the best groups stay (DeepSeek-V2).</summary>
    KeepByMax,

    /// <summary>A group counts as the sum of its two best experts; the best groups stay (DeepSeek-V3).</summary>
    KeepByTopTwoSum,

    /// <summary>Every group gives the same number of experts, <c>TopK / Groups</c> (MoGE, Pangu Pro).</summary>
    SamePerGroup,
}

/// <summary>How the chosen experts' scores become routing weights.</summary>
public enum NormRule
{
    /// <summary>The score itself.</summary>
    None,

    /// <summary><c>s / Σ s</c>.</summary>
    Sum,

    /// <summary><c>s / (Σ s + 1e-20)</c>.</summary>
    SumPlusEpsilon,

    /// <summary><c>s / max(Σ s, 2⁻²³)</c>.</summary>
    SumAtLeastEpsilon,

    /// <summary>Softmax over the chosen scores only (GPT-OSS).</summary>
    SoftmaxOfChosen,

    /// <summary>Sigmoid of each chosen score (Llama-4).</summary>
    SigmoidOfChosen,
}

/// <summary>What bounds the tokens of one expert.</summary>
public enum CapacityKind
{
    /// <summary>Nothing: dropless.</summary>
    None,

    /// <summary><see cref="CapacityRule.Tokens"/> per expert and sequence, padding counted (Switch).</summary>
    PerSequence,

    /// <summary><c>⌈Factor · tokens⌉</c> over the whole call; with a factor of 0 or less
    /// <see cref="CapacityRule.Tokens"/>, or <c>2 ⌈tokens / E⌉</c> when that is 0 (NLLB).</summary>
    TokenFraction,

    /// <summary>Tutel: <c>k ⌊f ⌈tokens / E⌉⌋</c> for f above 0; what is needed for 0; the smaller of the two with
    /// |f| for f below 0; rounded up to a multiple of <see cref="CapacityRule.Alignment"/>.</summary>
    Factor,
}

/// <summary>What a token gets from a choice that found its expert full.</summary>
public enum DropRule
{
    /// <summary>Nothing.</summary>
    Zero,

    /// <summary>The routing weight times the layer's input (early Switch implementations).</summary>
    ScaledInput,
}

/// <summary>Bounds the tokens of one expert per forward call. First choices find their places before second choices,
/// tokens by index inside a choice.</summary>
/// <remarks>A bound makes a token's result depend on the other tokens of the call, by nature.</remarks>
public sealed record CapacityRule
{
    /// <summary>No bound.</summary>
    public static CapacityRule Unbounded { get; } = new();

    /// <summary>The formula.</summary>
    public CapacityKind Kind { get; init; }

    /// <summary>The fixed number of tokens of the formulas that have one.</summary>
    public int Tokens { get; init; }

    /// <summary>The factor of the formulas that have one.</summary>
    public double Factor { get; init; }

    /// <summary>Tutel's capacity is a multiple of this.</summary>
    public int Alignment { get; init; } = 1;

    /// <summary>Batch-prioritised routing: tokens with the highest best score find their places first.</summary>
    public bool Prioritized { get; init; }

    /// <summary>Normalise over the choices that found a place, so that a lone survivor weighs 1 (NLLB).</summary>
    public bool NormalizeSurvivors { get; init; }

    /// <summary>What a dropped choice contributes.</summary>
    public DropRule Drop { get; init; }
}
