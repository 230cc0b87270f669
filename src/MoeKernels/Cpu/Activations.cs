using MoeKernels.Experts;

namespace MoeKernels.Cpu;

/// <summary>Elementwise non-linear functions; the same bits at every SIMD level. Destinations may be the sources.</summary>
internal static unsafe class Activations
{
    /// <summary><c>y[i] = f(x[i])</c> for the ungated kinds.</summary>
    public static void Apply(ActivationKind kind, float* x, float* y, int count)
    {
        for (int i = 0; i < count; i++)
        {
            y[i] = kind switch
            {
                ActivationKind.Silu => x[i] / (1 + MathF.Exp(-x[i])),
                ActivationKind.Relu => MathF.Max(x[i], 0),
                ActivationKind.GeluTanh =>
                    0.5f * x[i] * (1 + MathF.Tanh(0.7978845608f * (x[i] + (0.044715f * x[i] * x[i] * x[i])))),
                _ => throw new MoeUnsupportedException($"activation {kind} without a gate"),
            };
        }
    }

    /// <summary><c>y[i] = f(gate[i]) * up[i]</c>, with the clamps of <see cref="ActivationKind.ClampedSwiGlu"/>.</summary>
    public static void ApplyGated(in Activation activation, float* gate, float* up, float* y, int count)
    {
        for (int i = 0; i < count; i++)
        {
            float g = gate[i];
            if (activation.Kind == ActivationKind.ClampedSwiGlu)
            {
                g = MathF.Min(g, activation.Limit);
                float u = Math.Clamp(up[i], -activation.Limit, activation.Limit);
                y[i] = (u + 1) * (g / (1 + MathF.Exp(-activation.Alpha * g)));
                continue;
            }

            Apply(activation.Kind, &g, &g, 1);
            y[i] = g * up[i];
        }
    }

    /// <summary><c>y[i] = exp(x[i])</c>.</summary>
    public static void Exp(float* x, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = MathF.Exp(x[i]);
    }

    /// <summary><c>y[i] = 1 / (1 + exp(-x[i]))</c>.</summary>
    public static void Sigmoid(float* x, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = 1 / (1 + MathF.Exp(-x[i]));
    }

    /// <summary><c>y[i] = tanh(x[i])</c>.</summary>
    public static void Tanh(float* x, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = MathF.Tanh(x[i]);
    }

    /// <summary><c>y[i] = log(1 + exp(x[i]))</c>.</summary>
    public static void Softplus(float* x, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = MathF.Max(x[i], 0) + (float)Math.Log(1 + Math.Exp(-Math.Abs(x[i])));
    }
}
