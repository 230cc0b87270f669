namespace MoeKernels.Router;

/// <summary>Everything that distinguishes one router from another, as data: from logits [E] to expert ids and routing
/// weights [k] of a token. Equal scores, of experts and of groups, resolve to the smaller id.</summary>
/// <remarks>
/// The order of computation is: scores = <see cref="Score"/>(logits); choice values = scores (+ choice bias);
/// groups; the <see cref="TopK"/> best choice values; <see cref="Normalize"/> on the chosen, unbiased scores;
/// times <see cref="Scale"/>; times the expert's own scale; capacity.
/// </remarks>
/// <param name="Experts">E, the routed experts.</param>
/// <param name="TopK">k, the experts of a token.</param>
public sealed partial record RouterSpec(int Experts, int TopK)
{
    /// <summary>From logits to scores.</summary>
    public RouterScore Score { get; init; }

    /// <summary>Restriction of the choice by groups.</summary>
    public GroupRule Grouping { get; init; }

    /// <summary>G, the number of groups; divides E.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Groups that stay under <see cref="GroupRule.KeepByMax"/> and
    /// <see cref="GroupRule.KeepByTopTwoSum"/>.</summary>
    public int KeptGroups { get; init; } = 1;

    /// <summary>Choice value of the experts outside the kept groups: -∞, or 0 for bit-compatibility with
    /// implementations that multiply by a mask and so may choose them when biased scores are negative.</summary>
    public float MaskedChoice { get; init; } = float.NegativeInfinity;

    /// <summary>From chosen scores to routing weights.</summary>
    public NormRule Normalize { get; init; }

    /// <summary>Factor of every routing weight, after normalisation.</summary>
    public float Scale { get; init; } = 1f;

    /// <summary>Factor of every expert's output that is not part of the routing weight (NLLB: 0.8).</summary>
    public float OutputFactor { get; init; } = 1f;

    /// <summary>Multiply the expert's input by the routing weight instead of its output (Llama-4).</summary>
    public bool ApplyToInput { get; init; }

    /// <summary>The router's linear layer has a bias [E].</summary>
    public bool HasBias { get; init; }

    /// <summary>A bias [E] is added to the scores for choosing only (<c>e_score_correction_bias</c>).</summary>
    public bool HasChoiceBias { get; init; }

    /// <summary>A factor [E] multiplies the routing weights (<c>router_scale</c>).</summary>
    public bool HasExpertScale { get; init; }

    /// <summary>Padding tokens choose no expert and take no place (NLLB); otherwise they are routed like any
    /// other.</summary>
    public bool SkipPadding { get; init; }

    /// <summary>Bound on the tokens of an expert.</summary>
    public CapacityRule Capacity { get; init; } = CapacityRule.Unbounded;

    /// <summary>Whether a token's result can depend on the other tokens of the call.</summary>
    public bool CanDrop => Capacity is { Kind: CapacityKind.PerSequence or CapacityKind.TokenFraction }
        or { Kind: CapacityKind.Factor, Factor: not 0 };

    /// <summary>Experts of one group.</summary>
    internal int GroupSize => Experts / Groups;

    /// <summary>Refuses specifications that contradict themselves.</summary>
    /// <exception cref="ArgumentException">A number is out of its range; the message names it.</exception>
    public void Validate()
    {
        Require(Experts >= 1, "there must be an expert");
        Require(TopK >= 1 && TopK <= Experts, $"top-k of {TopK} is not in 1..{Experts}");
        Require(Groups >= 1 && Experts % Groups == 0, $"{Groups} groups do not divide {Experts} experts");
        Require(float.IsFinite(Scale) && float.IsFinite(OutputFactor), "a scale is not finite");
        Require(float.IsNegativeInfinity(MaskedChoice) || MaskedChoice == 0f, "masked groups count as -infinity or 0");
        switch (Grouping)
        {
            case GroupRule.KeepByMax or GroupRule.KeepByTopTwoSum:
                Require(KeptGroups >= 1 && KeptGroups <= Groups, $"{KeptGroups} kept groups are not in 1..{Groups}");
                Require(TopK <= KeptGroups * GroupSize, $"{KeptGroups} kept groups hold fewer than {TopK} experts");
                break;
            case GroupRule.SamePerGroup:
                Require(TopK % Groups == 0, $"top-k of {TopK} is not the same in each of {Groups} groups");
                break;
        }

        Require(Capacity.Alignment >= 1 && Capacity.Tokens >= 0, "a capacity is negative");
        Require(double.IsFinite(Capacity.Factor), "the capacity factor is not finite");
        Require(
            Capacity.Kind != CapacityKind.PerSequence || Capacity.Tokens >= 1, "a capacity per sequence is missing");
    }

    private static void Require(bool condition, string problem)
    {
        if (!condition)
            throw new ArgumentException($"Router: {problem}.");
    }
}
