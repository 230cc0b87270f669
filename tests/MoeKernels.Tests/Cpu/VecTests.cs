using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class VecTests
{
    [Fact]
    public void Elementwise_EveryLength_EqualsTheFormulas()
    {
        foreach (int n in CpuTests.Lengths)
        {
            Random random = new(n);
            using NativeFloats a = new(CpuTests.Random(random, n, 3)), b = new(CpuTests.Random(random, n, 3));
            Check(n, i => a.Pointer[i] + b.Pointer[i], y => Vec.Add(a.Pointer, b.Pointer, y, n));
            Check(n, i => a.Pointer[i] * b.Pointer[i], y => Vec.Multiply(a.Pointer, b.Pointer, y, n));
            Check(n, i => a.Pointer[i] * 0.3f, y => Vec.Scale(a.Pointer, 0.3f, y, n));
            Check(n, i => Math.Clamp(a.Pointer[i], -1, 1), y => Vec.Clamp(a.Pointer, -1, 1, y, n));
            Check(
                n, i => a.Pointer[i] * DeterministicMath.Sigmoid(b.Pointer[i]),
                y => Vec.MultiplySigmoid(a.Pointer, b.Pointer, y, n));
            Check(n, i => MathF.FusedMultiplyAdd(0.7f, a.Pointer[i], b.Pointer[i]), y =>
            {
                b.Span.CopyTo(new Span<float>(y, n));
                Vec.AddScaled(y, a.Pointer, 0.7f, n);
            });
        }
    }

    [Fact]
    public void DotAndSum_EveryLength_AreCanonical()
    {
        float* sums = stackalloc float[16];
        foreach (int n in CpuTests.Lengths)
        {
            using NativeFloats a = new(CpuTests.Random(new Random(n), n)), b = new(CpuTests.Random(new Random(-n), n));
            float dot = ReferenceDot.Row(new WeightMatrix(WeightFormat.F32, a.Pointer, 1, n, 0), 0, b.Pointer);
            new Span<float>(sums, 16).Clear();
            for (int i = 0; i < n; i++)
                sums[i % 16] += a.Pointer[i];
            float sum = ReferenceDot.Tree(sums);
            CpuTests.AtEveryLevel(level =>
            {
                Assert.Equal(dot, Vec.Dot(a.Pointer, b.Pointer, n));
                Assert.Equal(sum, Vec.Sum(a.Pointer, n));
            });
        }
    }

    [Fact]
    public void Clamp_NaN_Stays()
    {
        CpuTests.AtEveryLevel(level =>
        {
            using NativeFloats x = new([float.NaN, 5, -5]);
            Vec.Clamp(x.Pointer, -1, 1, x.Pointer, 3);
            CpuTests.AssertBits([float.NaN, 1, -1], x.Span, $"{level}");
        });
    }

    [Fact]
    public void Rope_BothLayouts_RotateEveryPairWithoutFusing()
    {
        for (int pairs = 0; pairs < 70; pairs++)
        {
            Random random = new(pairs);
            float[] values = CpuTests.Random(random, 2 * pairs);
            using NativeFloats cos = new(CpuTests.Random(random, pairs)), sin = new(CpuTests.Random(random, pairs));
            float[] half = new float[2 * pairs], interleaved = new float[2 * pairs];
            for (int i = 0; i < pairs; i++)
            {
                float c = cos.Pointer[i], s = sin.Pointer[i];
                half[i] = (values[i] * c) - (values[i + pairs] * s);
                half[i + pairs] = (values[i + pairs] * c) + (values[i] * s);
                interleaved[2 * i] = (values[2 * i] * c) - (values[(2 * i) + 1] * s);
                interleaved[(2 * i) + 1] = (values[(2 * i) + 1] * c) + (values[2 * i] * s);
            }

            CpuTests.AtEveryLevel(level =>
            {
                using NativeFloats x = new(values), y = new(values);
                Rope.HalfSplit(x.Pointer, cos.Pointer, sin.Pointer, pairs);
                CpuTests.AssertBits(half, x.Span, $"half split, {level}, {pairs}");
                Rope.Interleaved(y.Pointer, cos.Pointer, sin.Pointer, pairs);
                CpuTests.AssertBits(interleaved, y.Span, $"interleaved, {level}, {pairs}");
            });
        }
    }

    private delegate void Kernel(float* y);

    private static void Check(int n, Func<int, float> formula, Kernel kernel)
    {
        float[] expected = [.. Enumerable.Range(0, n).Select(formula)];
        CpuTests.AtEveryLevel(level =>
        {
            using NativeFloats y = new(n);
            kernel(y.Pointer);
            CpuTests.AssertBits(expected, y.Span, $"{level}, {n}");
        });
    }
}
