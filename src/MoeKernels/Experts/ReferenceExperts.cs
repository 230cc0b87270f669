namespace MoeKernels.Experts;

/// <summary>The expert network in plain loops: <c>y = down(act(gate x) * up x)</c>, with the library's order of
/// summation and scalar functions. The kernels are tested against it.</summary>
internal static unsafe class ReferenceExperts
{
    /// <summary>Runs one expert on one row.</summary>
    /// <param name="experts">The layer's matrices.</param>
    /// <param name="expert">Which expert.</param>
    /// <param name="x">[hidden].</param>
    /// <param name="y">Receives [hidden].</param>
    public static void Forward(ExpertMatrices experts, int expert, float* x, float* y)
    {
        float[] inner = new float[experts.Intermediate];
        for (int i = 0; i < inner.Length; i++)
        {
            float up = Project(experts.Up, experts.UpBias, expert, i, x);
            float gate = experts.Gate == null ? 0f : Project(experts.Gate, experts.GateBias, expert, i, x);
            inner[i] = Activate(experts.Activation, gate, up);
        }

        fixed (float* activated = inner)
        {
            for (int i = 0; i < experts.Hidden; i++)
                y[i] = Project(experts.Down, experts.DownBias, expert, i, activated);
        }
    }

    /// <summary>The activation of one intermediate value.</summary>
    public static float Activate(Activation activation, float gate, float up)
    {
        if (activation.Kind == ActivationKind.ClampedSwiGlu)
        {
            float g = gate > activation.Limit ? activation.Limit : gate;
            float u = Math.Clamp(up, -activation.Limit, activation.Limit);
            return (u + 1f) * (g / (1f + DeterministicMath.Exp(-activation.Alpha * g)));
        }

        return activation.Gated ? Function(activation.Kind, gate) * up : Function(activation.Kind, up);
    }

    private static float Function(ActivationKind kind, float x) => kind switch
    {
        ActivationKind.Silu => DeterministicMath.Silu(x),
        ActivationKind.Relu => x < 0f ? 0f : x,
        ActivationKind.Gelu => DeterministicMath.Gelu(x),
        ActivationKind.GeluTanh => DeterministicMath.GeluTanh(x),
        _ => throw new MoeUnsupportedException($"activation {kind}"),
    };

    private static float Project(WeightMatrix* weights, float** biases, int expert, int row, float* x)
    {
        float sum = ReferenceDot.Row(weights[expert], row, x);
        return biases == null ? sum : sum + biases[expert][row];
    }
}
