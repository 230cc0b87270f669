using MoeKernels.Experts;

namespace MoeKernels.Cpu;

/// <summary>Outputs of a <see cref="CodebookRegion"/>: a product <c>y = W x + b</c>, or one with an activation and,
/// where that is gated, a second product of the same shape.</summary>
internal unsafe struct CodebookPart
{
    /// <summary>The only product, or up's.</summary>
    public CodebookProduct Main;

    /// <summary>The gate's product; only where <see cref="Activation"/> is gated.</summary>
    public CodebookProduct Gate;

    /// <summary>What is applied to the products, or null.</summary>
    public Activation* Activation;

    /// <summary>Number of tokens.</summary>
    public int Tokens;

    /// <summary>First output, [tokens × rows].</summary>
    public float* Y;

    /// <summary>Distance between two tokens of <see cref="Y"/> in elements.</summary>
    public nint YStride;

    /// <summary>Strips of the matrix.</summary>
    public readonly int Strips => Main.Weights.Shape.Strips;

    /// <summary>Whether there is a gate.</summary>
    public readonly bool IsGated => Activation != null && Activation->Gated;
}
