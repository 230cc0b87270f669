using MoeKernels.Experts;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>The weights of a mixture-of-experts layer, borrowed: whoever builds the layer keeps them alive.</summary>
internal sealed unsafe class RoutedLayerWeights
{
    private readonly WeightMatrix _router;
    private readonly WeightMatrix _sharedGate;

    /// <summary>Takes the router's matrix [E × inputs], the routed experts and, where there are any, the shared expert
    /// and its gate [1 × hidden].</summary>
    public RoutedLayerWeights(
        in WeightMatrix router,
        ExpertMatrices experts,
        ExpertMatrices? shared = null,
        in WeightMatrix sharedGate = default)
    {
        (_router, Experts, Shared, _sharedGate) = (router, experts, shared, sharedGate);
    }

    /// <summary>[E × inputs].</summary>
    public WeightMatrix Router => _router;

    /// <summary>[E], or null.</summary>
    public float* RouterBias { get; init; }

    /// <summary>[E], added to the scores for choosing; null for none.</summary>
    public float* ChoiceBias { get; init; }

    /// <summary>[E], factors of the routing weights; null for ones.</summary>
    public float* ExpertScale { get; init; }

    /// <summary>The routed experts.</summary>
    public ExpertMatrices Experts { get; }

    /// <summary>The expert that every token passes, or null.</summary>
    public ExpertMatrices? Shared { get; }

    /// <summary>[1 × hidden]; only meaningful when <see cref="HasSharedGate"/>.</summary>
    public WeightMatrix SharedGate => _sharedGate;

    /// <summary>Whether the shared expert's output is gated.</summary>
    public bool HasSharedGate => _sharedGate.Rows > 0;

    /// <summary>[1], or null.</summary>
    public float* SharedGateBias { get; init; }

    /// <summary>These weights, once the vectors that choose and weigh are known to be finite: a NaN among them would
    /// choose experts without anybody noticing.</summary>
    /// <exception cref="MoeNonFiniteException">A choice bias or expert scale is NaN or infinite.</exception>
    public RoutedLayerWeights Checked(RouterSpec router, string module)
    {
        Check(ChoiceBias, router.Experts, module, "the choice bias");
        Check(ExpertScale, router.Experts, module, "the scale");
        return this;
    }

    private static void Check(float* values, int experts, string module, string what)
    {
        for (int e = 0; values != null && e < experts; e++)
        {
            if (!float.IsFinite(values[e]))
                throw new MoeNonFiniteException(module, $"{what} of expert {e} is {values[e]}");
        }
    }
}
