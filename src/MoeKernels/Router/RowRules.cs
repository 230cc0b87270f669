namespace MoeKernels.Router;

/// <summary>What a <see cref="RouterSpec"/> says about one row, without references: it can be handed to a thread
/// pool.</summary>
internal readonly struct RowRules(RouterSpec spec)
{
    /// <summary>E.</summary>
    public readonly int Experts = spec.Experts;

    /// <summary>k.</summary>
    public readonly int TopK = spec.TopK;

    /// <summary>From logits to scores.</summary>
    public readonly RouterScore Score = spec.Score;

    /// <summary>Restriction of the choice by groups.</summary>
    public readonly GroupRule Grouping = spec.Grouping;

    /// <summary>G.</summary>
    public readonly int Groups = spec.Groups;

    /// <summary>E / G.</summary>
    public readonly int GroupSize = spec.GroupSize;

    /// <summary>Groups that stay.</summary>
    public readonly int KeptGroups = spec.KeptGroups;

    /// <summary>Choice value of the experts outside the kept groups.</summary>
    public readonly float MaskedChoice = spec.MaskedChoice;

    /// <summary>From chosen scores to routing weights.</summary>
    public readonly NormRule Normalize = spec.Normalize;

    /// <summary>Factor of every routing weight.</summary>
    public readonly float Scale = spec.Scale;

    /// <summary>Padding tokens choose nothing.</summary>
    public readonly bool SkipsPadding = spec.SkipPadding;

    /// <summary>Weights are computed after capacity, over the choices that found a place.</summary>
    public readonly bool WeighsSurvivors = spec.CanDrop && spec.Capacity.NormalizeSurvivors;
}
