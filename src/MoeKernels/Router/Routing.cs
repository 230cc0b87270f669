namespace MoeKernels.Router;

/// <summary>A routing that somebody else decided: expert ids and weights of every token, borrowed for one
/// call.</summary>
/// <param name="expertIds">[T, k], each -1 (no expert) or below the number of experts.</param>
/// <param name="weights">[T, k].</param>
public readonly ref struct Routing(ReadOnlySpan<int> expertIds, ReadOnlySpan<float> weights)
{
    /// <summary>[T, k] expert ids; -1 for a choice that goes nowhere.</summary>
    public ReadOnlySpan<int> ExpertIds { get; } = expertIds;

    /// <summary>[T, k] routing weights.</summary>
    public ReadOnlySpan<float> Weights { get; } = weights;
}
