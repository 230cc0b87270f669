using MoeKernels.Cpu;
using MoeKernels.Experts;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class VecMathTests
{
    private delegate void Kernel(float* x, float* y, int count);

    public static TheoryData<string> Functions { get; } =
        ["exp", "sigmoid", "tanh", "softplus", "silu", "relu", "gelu", "gelu tanh"];

    [Theory]
    [MemberData(nameof(Functions))]
    public void Function_EveryLevelAndLength_HasTheBitsOfTheScalarDefinition(string name)
    {
        (Kernel kernel, Func<float, float> scalar, _, _) = Function(name);
        float[] inputs = Inputs();
        float[] expected = [.. inputs.Select(scalar)];
        CpuTests.AtEveryLevel(level =>
        {
            CpuTests.AssertBits(expected, Run(kernel, inputs), $"{name}, {level}");
            foreach (int length in CpuTests.Lengths.Where(length => length < inputs.Length))
                CpuTests.AssertBits(expected.AsSpan(0, length), Run(kernel, inputs[..length]), $"{name}, {level}");
        });
    }

    [Theory]
    [MemberData(nameof(Functions))]
    public void Function_AgainstDoublePrecision_StaysWithinItsUlps(string name)
    {
        (_, Func<float, float> scalar, Func<double, double> exact, double ulps) = Function(name);
        Random random = new(3);
        double worst = 0, at = 0;
        for (int i = 0; i < 200_000; i++)
        {
            float x = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-4, 3)) * 2);
            double expected = exact(x);
            // Where exp(-x) overflows, quotients are flushed to 0: an absolute error below 1e-36.
            if (Math.Abs(expected) is < 1e-36 or > 3.4e38)
                continue;
            double error = Math.Abs(scalar(x) - expected) / Math.BitIncrement(MathF.Abs((float)expected));
            if (error * 8388608 > worst)
                (worst, at) = (error * 8388608, x);
        }

        Assert.True(worst <= ulps, $"{name}({at:R}) is {worst:F2} ulp off");
    }

    [Fact]
    public void Exp_Edges_AreExact()
    {
        Assert.Equal(1f, DeterministicMath.Exp(0));
        Assert.Equal(0f, DeterministicMath.Exp(float.NegativeInfinity));
        Assert.Equal(float.PositiveInfinity, DeterministicMath.Exp(float.PositiveInfinity));
        Assert.True(float.IsNaN(DeterministicMath.Exp(float.NaN)));
        Assert.Equal(float.PositiveInfinity, DeterministicMath.Gelu(float.PositiveInfinity));
    }

    [Theory]
    [InlineData(ActivationKind.Silu)]
    [InlineData(ActivationKind.Relu)]
    [InlineData(ActivationKind.Gelu)]
    [InlineData(ActivationKind.GeluTanh)]
    [InlineData(ActivationKind.ClampedSwiGlu)]
    public void ApplyGated_EveryLevel_HasTheBitsOfTheReferenceExpert(ActivationKind kind)
    {
        float[] gate = Inputs();
        float[] up = [.. gate.Reverse()];
        Activation activation = new(kind, Gated: true);
        float[] expected = [.. gate.Zip(up, (g, u) => ReferenceExperts.Activate(activation, g, u))];
        CpuTests.AtEveryLevel(level =>
        {
            using NativeFloats g = new(gate), u = new(up), y = new(gate.Length);
            Activations.ApplyGated(activation, g.Pointer, u.Pointer, y.Pointer, gate.Length);
            CpuTests.AssertBits(expected, y.Span, $"{kind}, {level}");
        });
    }

    [Fact]
    public void Apply_ClampedSwiGluWithoutGate_IsUnsupported()
    {
        using NativeFloats x = new([1f]);
        Assert.Throws<MoeUnsupportedException>(
            () => Activations.Apply(ActivationKind.ClampedSwiGlu, x.Pointer, x.Pointer, 1));
    }

    private static float[] Run(Kernel kernel, float[] inputs)
    {
        using NativeFloats x = new(inputs), y = new(inputs.Length);
        kernel(x.Pointer, y.Pointer, inputs.Length);
        float[] result = y.Span.ToArray();

        // In place gives the same.
        kernel(x.Pointer, x.Pointer, inputs.Length);
        CpuTests.AssertBits(result, x.Span, "in place");
        return result;
    }

    private static float[] Inputs()
    {
        float[] edges =
        [
            0, -0f, 1, -1, 0.5f, 0.625f, -0.625f, 15, -15, 20, -20, 88.7f, 89, 90, -87, -88, -100, -104, -105, 200,
            -200,
            1e-30f, -1e-30f, 1e-45f, 1e30f, float.MaxValue, float.PositiveInfinity, float.NaN,
        ];
        Random random = new(11);
        return [.. edges, .. CpuTests.Random(random, 1000, 5), .. CpuTests.Random(random, 1001, 100)];
    }

    private static (Kernel Kernel, Func<float, float> Scalar, Func<double, double> Exact, double Ulps) Function(
        string name) => name switch
        {
            "exp" => (Activations.Exp, DeterministicMath.Exp, Math.Exp, 2),
            "sigmoid" => (Activations.Sigmoid, DeterministicMath.Sigmoid, x => 1 / (1 + Math.Exp(-x)), 3),
            "tanh" => (Activations.Tanh, DeterministicMath.Tanh, Math.Tanh, 3),
            "softplus" => (Activations.Softplus, DeterministicMath.Softplus,
                x => Math.Max(x, 0) + Log1P(Math.Exp(-Math.Abs(x))), 4),
            "silu" => (Apply(ActivationKind.Silu), DeterministicMath.Silu, x => x / (1 + Math.Exp(-x)), 3),
            "relu" => (Apply(ActivationKind.Relu), x => x < 0 ? 0 : x, x => Math.Max(x, 0), 0.5),
            "gelu" => (Apply(ActivationKind.Gelu), DeterministicMath.Gelu, x => x * NormalCdf(x), 5),
            _ => (Apply(ActivationKind.GeluTanh), DeterministicMath.GeluTanh,
                x => x / (1 + Math.Exp(-2 * Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))), double.MaxValue),
        };

    private static Kernel Apply(ActivationKind kind) => (x, y, count) => Activations.Apply(kind, x, y, count);

    private static double Log1P(double y) => y < 1e-5 ? y - (y * y / 2) : Math.Log(1 + y);

    // Φ(x) by the continued fraction of erfc in the tail and the series of erf in the middle.
    private static double NormalCdf(double x)
    {
        double z = Math.Abs(x) / Math.Sqrt(2);
        double half;
        if (z < 2)
        {
            double term = z, sum = z;
            for (int k = 1; k < 80; k++)
            {
                term *= -z * z / k;
                sum += term / ((2 * k) + 1);
            }

            half = 0.5 - (sum / Math.Sqrt(Math.PI));
        }
        else
        {
            double fraction = 0;
            for (int k = 200; k > 0; k--)
                fraction = k / 2.0 / (z + fraction);
            half = Math.Exp(-z * z) / Math.Sqrt(Math.PI) / (z + fraction) / 2;
        }

        return x < 0 ? half : 1 - half;
    }
}
