using MoeKernels.Experts;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Loading;

/// <content>Mixture-of-experts layers.</content>
internal sealed unsafe partial class LayerBuilder
{
    private RoutedLayer Moe(MoeSpec spec)
    {
        int experts = spec.Router.Experts;
        LinearWeights router = binder.Linear(spec.RouterLinear);
        LinearWeights sharedGate = spec.Shared?.Gate is { } gate ? binder.Linear(gate) : default;
        var weights = new RoutedLayerWeights(
            router.Matrix,
            ExpertBinder.Bind(binder, spec.Experts, spec.Activation, experts),
            spec.Shared is null ? null : OneExpert(spec.Shared.Network),
            sharedGate.Matrix)
        {
            RouterBias = router.Bias,
            ChoiceBias = spec.ChoiceBias is null ? null : binder.Vector(spec.ChoiceBias, experts),
            ExpertScale = spec.ExpertScale is null ? null : binder.OptionalVector(spec.ExpertScale, experts),
            SharedGateBias = sharedGate.Bias,
        };
        return new RoutedLayer(spec.Router, weights, spec.TraceModule, spec.TraceForm);
    }

    /// <summary>A dense network as the only expert of a group.</summary>
    private ExpertMatrices OneExpert(FeedForwardSpec spec)
    {
        LinearWeights gate = spec.Gate is null ? default : binder.Linear(spec.Gate);
        LinearWeights up = binder.Linear(spec.Up);
        LinearWeights down = binder.Linear(spec.Down);
        bool hasBias = up.Bias != null && down.Bias != null;
        if (hasBias != (up.Bias != null || down.Bias != null || gate.Bias != null))
            throw new MoeUnsupportedException("a feed-forward network with some of its biases", spec.Up.Module.First);

        ExpertMatrices matrices = binder.Memory.Own(new ExpertMatrices(1, spec.Activation, hasBias));
        matrices.Set(0, gate.Matrix, up.Matrix, down.Matrix);
        if (hasBias)
            matrices.SetBias(0, gate.Bias, up.Bias, down.Bias);
        return matrices;
    }
}
