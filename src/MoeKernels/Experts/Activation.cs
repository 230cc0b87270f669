namespace MoeKernels.Experts;

/// <summary>The non-linearity of a feed-forward network or expert.</summary>
public enum ActivationKind
{
    /// <summary><c>x σ(x)</c>.</summary>
    Silu,

    /// <summary><c>max(x, 0)</c>.</summary>
    Relu,

    /// <summary><c>x Φ(x)</c>, exact with erf.</summary>
    Gelu,

    /// <summary><c>0.5 x (1 + tanh(√(2/π)(x + 0.044715 x³)))</c>.</summary>
    GeluTanh,

    /// <summary>GPT-OSS: <c>g = min(g, limit), u = clamp(u, ±limit), (u + 1) g σ(alpha g)</c>; always gated.</summary>
    ClampedSwiGlu,
}

/// <summary>Activation of a feed-forward network: <c>down(act(gate x) * up x)</c> when gated, else <c>down(act(up
/// x))</c>.</summary>
/// <param name="Kind">The function.</param>
/// <param name="Gated">Whether there is a gate matrix beside up.</param>
/// <param name="Alpha">Slope of <see cref="ActivationKind.ClampedSwiGlu"/>.</param>
/// <param name="Limit">Clamp of <see cref="ActivationKind.ClampedSwiGlu"/>.</param>
public readonly record struct Activation(ActivationKind Kind, bool Gated, float Alpha = 1.702f, float Limit = 7f)
{
    /// <summary>SwiGLU: <c>silu(gate) * up</c>.</summary>
    public static Activation SiluGated => new(ActivationKind.Silu, Gated: true);

    /// <summary>Plain ReLU between two matrices.</summary>
    public static Activation Relu => new(ActivationKind.Relu, Gated: false);
}
