namespace MoeKernels.Router;

/// <content>The routers of released model families and of the papers, under the names of their configs.</content>
public sealed partial record RouterSpec
{
    /// <summary>Mixtral: softmax over all, top-k, always renormalised.</summary>
    public static RouterSpec Mixtral(int experts = 8, int topK = 2) => Qwen3Moe(experts, topK);

    /// <summary>Qwen1.5-MoE and Qwen2-MoE: softmax over all, top-k; released configs do not renormalise.</summary>
    public static RouterSpec Qwen2Moe(int experts = 60, int topK = 4, bool normTopkProb = false) =>
        Qwen3Moe(experts, topK, normTopkProb);

    /// <summary>Qwen3-MoE: softmax over all, top-k, renormalised when <paramref name="normTopkProb"/>.</summary>
    public static RouterSpec Qwen3Moe(int experts = 128, int topK = 8, bool normTopkProb = true) =>
        new(experts, topK) { Normalize = normTopkProb ? NormRule.Sum : NormRule.None };

    /// <summary>Qwen3-Next: as Qwen3-MoE, with 10 of 512.</summary>
    public static RouterSpec Qwen3Next(int experts = 512, int topK = 10, bool normTopkProb = true) =>
        Qwen3Moe(experts, topK, normTopkProb);

    /// <summary>OLMoE: softmax over all, top-k; released configs do not renormalise.</summary>
    public static RouterSpec Olmoe(int experts = 64, int topK = 8, bool normTopkProb = false) =>
        Qwen3Moe(experts, topK, normTopkProb);

    /// <summary>DeepSeek-V2-Lite: softmax over all, greedy top-k, scaled, never renormalised.</summary>
    public static RouterSpec DeepSeekV2Lite(int experts = 64, int topK = 6, float scale = 1f) =>
        new(experts, topK) { Scale = scale };

    /// <summary>DeepSeek-V2: softmax; the groups with the best single experts stay; scaled, never
    /// renormalised.</summary>
    public static RouterSpec DeepSeekV2(
        int experts = 160, int topK = 6, int groups = 8, int keptGroups = 3, float scale = 16f) =>
        new(experts, topK)
        {
            Grouping = GroupRule.KeepByMax,
            Groups = groups,
            KeptGroups = keptGroups,
            Scale = scale,
        };

    /// <summary>DeepSeek-V3, R1 and Kimi-K2: sigmoid, choice by biased score inside the groups with the best pairs,
    /// weights from the unbiased scores.</summary>
    public static RouterSpec DeepSeekV3(
        int experts = 256,
        int topK = 8,
        int groups = 8,
        int keptGroups = 4,
        float scale = 2.5f,
        bool normTopkProb = true) =>
        new(experts, topK)
        {
            Score = RouterScore.Sigmoid,
            Grouping = groups > 1 ? GroupRule.KeepByTopTwoSum : GroupRule.None,
            Groups = groups,
            KeptGroups = keptGroups,
            Normalize = normTopkProb ? NormRule.SumPlusEpsilon : NormRule.None,
            Scale = scale,
            HasChoiceBias = true,
        };

    /// <summary>GLM-4.5 and 4.6: as DeepSeek-V3, released without groups.</summary>
    public static RouterSpec Glm4Moe(
        int experts = 128,
        int topK = 8,
        int groups = 1,
        int keptGroups = 1,
        float scale = 1f,
        bool normTopkProb = true) =>
        DeepSeekV3(experts, topK, groups, keptGroups, scale, normTopkProb);

    /// <summary>MiniMax-M2: sigmoid, choice by biased score, weights are unbiased scores over their sum.</summary>
    public static RouterSpec MiniMaxM2(int experts = 256, int topK = 8) =>
        new(experts, topK) { Score = RouterScore.Sigmoid, Normalize = NormRule.Sum, HasChoiceBias = true };

    /// <summary>GPT-OSS: top-k logits of a router with bias, softmax over these.</summary>
    public static RouterSpec GptOss(int experts = 32, int topK = 4) =>
        new(experts, topK) { Score = RouterScore.None, Normalize = NormRule.SoftmaxOfChosen, HasBias = true };

    /// <summary>Llama-4: top-k logits, whose sigmoid scales the expert's input.</summary>
    public static RouterSpec Llama4(int experts = 16, int topK = 1) =>
        new(experts, topK) { Score = RouterScore.None, Normalize = NormRule.SigmoidOfChosen, ApplyToInput = true };

    /// <summary>Pangu Pro MoE (MoGE): softmax over all, the same number from every group, not renormalised, times
    /// <c>router_scale</c>.</summary>
    public static RouterSpec PanguProMoe(int experts = 64, int topK = 8, int groups = 8) =>
        new(experts, topK) { Grouping = GroupRule.SamePerGroup, Groups = groups, HasExpertScale = true };

    /// <summary>Switch Transformers: the best expert with its probability, while it has places in this
    /// sequence.</summary>
    /// <param name="experts">E.</param>
    /// <param name="capacity"><c>expert_capacity</c>, tokens per expert and sequence; 0 drops nothing.</param>
    /// <param name="drop">What a token without a place gets.</param>
    /// <param name="bias"><c>router_bias</c>.</param>
    public static RouterSpec Switch(
        int experts = 8, int capacity = 64, DropRule drop = DropRule.Zero, bool bias = false) =>
        new(experts, 1)
        {
            HasBias = bias,
            Capacity = capacity == 0
                ? CapacityRule.Unbounded
                : new() { Kind = CapacityKind.PerSequence, Tokens = capacity, Drop = drop },
        };

    /// <summary>NLLB-MoE: the two best, renormalised over those that found a place, outputs times 0.8.</summary>
    /// <param name="experts">E.</param>
    /// <param name="tokenFraction"><c>moe_eval_capacity_token_fraction</c>.</param>
    /// <param name="capacity"><c>expert_capacity</c>, used when the fraction is 0 or less; 0 when it is not
    /// given.</param>
    /// <param name="tokenDropout"><c>moe_token_dropout</c>; outputs are multiplied by one minus this.</param>
    /// <param name="prioritized"><c>batch_prioritized_routing</c>.</param>
    /// <param name="normalizeBeforeDropping"><c>normalize_router_prob_before_dropping</c>.</param>
    /// <param name="bias"><c>router_bias</c>.</param>
    public static RouterSpec NllbMoe(
        int experts = 128,
        double tokenFraction = 1,
        int capacity = 64,
        float tokenDropout = 0.2f,
        bool prioritized = false,
        bool normalizeBeforeDropping = false,
        bool bias = false) =>
        new(experts, Math.Min(2, experts))
        {
            Normalize = NormRule.SumAtLeastEpsilon,
            OutputFactor = (float)(1.0 - tokenDropout),
            HasBias = bias,
            SkipPadding = true,
            Capacity = new()
            {
                Kind = CapacityKind.TokenFraction,
                Factor = tokenFraction,
                Tokens = capacity,
                Prioritized = prioritized,
                NormalizeSurvivors = !normalizeBeforeDropping,
            },
        };

    /// <summary>Tutel's gate: softmax over all, top-k, renormalised when k is above 1, with a capacity
    /// factor.</summary>
    /// <param name="experts">E.</param>
    /// <param name="topK">k, cut to E.</param>
    /// <param name="capacityFactor">Above 0 fixed, 0 as needed, below 0 as needed up to its absolute value.</param>
    /// <param name="prioritized">Batch-prioritised routing.</param>
    /// <param name="normalizeGate">Renormalise the chosen probabilities.</param>
    /// <param name="alignment">The capacity is rounded up to a multiple of this.</param>
    public static RouterSpec Tutel(
        int experts,
        int topK = 2,
        double capacityFactor = 1,
        bool prioritized = false,
        bool normalizeGate = true,
        int alignment = 1) =>
        new(experts, Math.Min(topK, experts))
        {
            Normalize = normalizeGate && Math.Min(topK, experts) > 1 ? NormRule.SumAtLeastEpsilon : NormRule.None,
            Capacity = new()
            {
                Kind = CapacityKind.Factor,
                Factor = capacityFactor,
                Alignment = alignment,
                Prioritized = prioritized,
            },
        };

    /// <summary>BigMac: softmax over all of the full-width input's logits, top-k, renormalised.</summary>
    public static RouterSpec BigMac(int experts = 64, int topK = 8, bool normTopkProb = true) =>
        Qwen3Moe(experts, topK, normTopkProb);
}
