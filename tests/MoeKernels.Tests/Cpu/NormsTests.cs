using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class NormsTests
{
    private const float Eps = 1e-6f;

    [Fact]
    public void Rms_AnyLength_HasTheBitsOfTheReference()
    {
        foreach (int n in CpuTests.Lengths.Where(n => n > 0))
        {
            Random random = new(n);
            int rows = 1 + (n % 4);
            using NativeFloats x = new(CpuTests.Random(random, rows * (n + 3)));
            using NativeFloats w = new(CpuTests.Random(random, n));
            using NativeFloats gate = new(CpuTests.Random(random, rows * (n + 1), 4));
            foreach (float offset in (float[])[0, 1])
            {
                CpuTests.AssertBits(RmsReference(x, w, offset, null, rows, n), pool =>
                {
                    using NativeFloats y = new(rows * (n + 2));
                    Norms.Rms(pool, x.Pointer, n + 3, w.Pointer, offset, Eps, y.Pointer, n + 2, rows, n);
                    return y.Rows(rows, n, n + 2);
                });
            }

            CpuTests.AssertBits(RmsReference(x, null, 0, null, rows, n), pool =>
            {
                using NativeFloats y = new(rows * n);
                Norms.Rms(pool, x.Pointer, n + 3, null, 0, Eps, y.Pointer, n, rows, n);
                return y.Span.ToArray();
            });
            CpuTests.AssertBits(RmsReference(x, w, 0, gate, rows, n), pool =>
            {
                using NativeFloats y = new(rows * n);
                Norms.RmsGated(
                    pool, x.Pointer, n + 3, w.Pointer, Eps, gate.Pointer, n + 1, y.Pointer, n, rows, n);
                return y.Span.ToArray();
            });
        }
    }

    [Fact]
    public void Rms_ManyRows_RunInParallelWithTheSameBits()
    {
        using NativeFloats x = new(CpuTests.Random(new Random(2), 101 * 500));
        float[] expected = RmsReference(x, null, 0, null, 101, 497);
        CpuTests.AssertBits(expected, pool =>
        {
            using NativeFloats y = new(101 * 497);
            Norms.Rms(pool, x.Pointer, 500, null, 0, Eps, y.Pointer, 497, 101, 497);
            return y.Span.ToArray();
        });
    }

    [Fact]
    public void Layer_AnyLength_HasTheBitsOfTheReferenceAndIsNormal()
    {
        foreach (int n in CpuTests.Lengths.Where(n => n > 0))
        {
            Random random = new(n);
            using NativeFloats x = new(CpuTests.Random(random, 2 * n));
            using NativeFloats w = new(CpuTests.Random(random, n)), b = new(CpuTests.Random(random, n));
            foreach (bool biased in (bool[])[false, true])
            {
                float[] expected = LayerReference(x, w, biased ? b : null, 2, n);
                CpuTests.AssertBits(expected, pool =>
                {
                    using NativeFloats y = new(2 * n);
                    Norms.Layer(
                        pool, x.Pointer, n, w.Pointer, biased ? b.Pointer : null, Eps, y.Pointer, n, 2, n);
                    return y.Span.ToArray();
                });
            }
        }
    }

    [Fact]
    public void Softmax_AnyLength_HasTheBitsOfTheReference()
    {
        foreach (int n in CpuTests.Lengths.Where(n => n > 0))
        {
            using NativeFloats x = new(CpuTests.Random(new Random(n), n, 10));
            float sink = 3;
            foreach (bool hasSink in (bool[])[false, true])
            {
                float[] expected = SoftmaxReference(x.Span, hasSink ? sink : null);
                CpuTests.AtEveryLevel(level =>
                {
                    using NativeFloats y = new(n);
                    float logit = sink;
                    Softmax.Row(x.Pointer, y.Pointer, n, hasSink ? &logit : null);
                    CpuTests.AssertBits(expected, y.Span, $"{level}, {n}");
                });
            }
        }
    }

    private static float[] RmsReference(
        NativeFloats x, NativeFloats? w, float offset, NativeFloats? gate, int rows, int n)
    {
        float[] y = new float[rows * n];
        int xStride = x.Count / rows;
        for (int t = 0; t < rows; t++)
        {
            float* row = x.Pointer + (t * xStride);
            float square = ReferenceDot.Row(new WeightMatrix(WeightFormat.F32, row, 1, n, 0), 0, row);
            float scale = 1 / MathF.Sqrt((square / n) + Eps);
            for (int i = 0; i < n; i++)
            {
                float value = row[i] * scale;
                if (w != null)
                    value *= w.Pointer[i] + offset;
                if (gate != null)
                    value *= DeterministicMath.Silu(gate.Pointer[(t * (gate.Count / rows)) + i]);
                y[(t * n) + i] = value;
            }
        }

        return y;
    }

    private static float[] LayerReference(NativeFloats x, NativeFloats w, NativeFloats? b, int rows, int n)
    {
        float[] y = new float[rows * n];
        for (int t = 0; t < rows; t++)
        {
            float* row = x.Pointer + (t * n);
            float mean = Sum(i => row[i], n) / n;
            float[] centered = [.. Enumerable.Range(0, n).Select(i => row[i] - mean)];
            float square;
            fixed (float* c = centered)
                square = ReferenceDot.Row(new WeightMatrix(WeightFormat.F32, c, 1, n, 0), 0, c);
            float scale = 1 / MathF.Sqrt((square / n) + Eps);
            for (int i = 0; i < n; i++)
            {
                float value = centered[i] * scale * w.Pointer[i];
                y[(t * n) + i] = b == null ? value : value + b.Pointer[i];
            }
        }

        return y;
    }

    private static float[] SoftmaxReference(Span<float> x, float? sink)
    {
        float max = sink ?? float.NegativeInfinity;
        foreach (float value in x)
            max = Math.Max(max, value);
        float[] weights = new float[x.Length];
        for (int i = 0; i < weights.Length; i++)
            weights[i] = DeterministicMath.Exp(x[i] - max);
        float sum = Sum(i => weights[i], weights.Length);
        if (sink != null)
            sum += DeterministicMath.Exp(sink.Value - max);
        return [.. weights.Select(weight => weight / sum)];
    }

    private static float Sum(Func<int, float> value, int n)
    {
        float* sums = stackalloc float[16];
        new Span<float>(sums, 16).Clear();
        for (int i = 0; i < n; i++)
            sums[i % 16] += value(i);
        return ReferenceDot.Tree(sums);
    }
}
