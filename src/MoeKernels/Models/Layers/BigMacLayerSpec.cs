using MoeKernels.Experts;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>Sizes and rules of a BigMac layer (descend, communicate, communicate, ascend).</summary>
/// <param name="Router">How experts are chosen, from the full-width token.</param>
/// <param name="Hidden">h, width of the token.</param>
/// <param name="LowRank">r h, width at which tokens travel to the experts and back.</param>
/// <param name="Intermediate">Width inside an expert; h in the paper.</param>
public sealed record BigMacLayerSpec(RouterSpec Router, int Hidden, int LowRank, int Intermediate)
{
    /// <summary>The experts' non-linearity; the paper's experts are two matrices with a ReLU between them.</summary>
    public Activation Activation { get; init; } = Activation.Relu;

    /// <summary>The mixture between descent and ascent, to be given to <see cref="ExpertWeights"/>.</summary>
    public MoeLayerSpec Experts => new(Router, LowRank, Intermediate) { Activation = Activation };
}
