using MoeKernels.Router;

namespace MoeKernels.Experts;

/// <summary>Sizes and rules of one mixture-of-experts layer.</summary>
/// <param name="Router">How experts are chosen and weighted.</param>
/// <param name="Hidden">H, inputs and outputs of an expert.</param>
/// <param name="Intermediate">I, the width inside a routed expert.</param>
public sealed record MoeLayerSpec(RouterSpec Router, int Hidden, int Intermediate)
{
    /// <summary>The experts' non-linearity; SwiGLU unless said otherwise.</summary>
    public Activation Activation { get; init; } = Activation.SiluGated;

    /// <summary>How gate and up rows lie in the matrices given to <see cref="ExpertWeights"/>.</summary>
    public GateUpOrder GateUpOrder { get; init; }

    /// <summary>Width inside the shared expert that every token passes; 0 when there is none.</summary>
    public int SharedIntermediate { get; init; }

    /// <summary>The shared expert's output is multiplied by the sigmoid of a linear function of the token.</summary>
    public bool HasSharedGate { get; init; }

    /// <summary>Rows of an expert's gate and up matrices together.</summary>
    internal int GateUpRows(int intermediate) => checked(Activation.Gated ? 2 * intermediate : intermediate);

    /// <summary>Refuses sizes that make no layer.</summary>
    /// <exception cref="ArgumentException">A size is not positive, or the router is not valid.</exception>
    public void Validate()
    {
        ArgumentNullException.ThrowIfNull(Router);
        Router.Validate();
        if (Hidden < 1 || Intermediate < 1 || SharedIntermediate < 0)
        {
            throw new ArgumentException(
                $"Layer: sizes {Hidden}, {Intermediate} and {SharedIntermediate} are out of range.");
        }

        if (HasSharedGate && SharedIntermediate == 0)
            throw new ArgumentException("Layer: there is a gate for a shared expert, but no shared expert.");
    }
}
