using System.Runtime.InteropServices;
using MoeKernels.Cpu;
using MoeKernels.Experts;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class GroupedGemmTests
{
    private const int Hidden = 64;
    private const int Intermediate = 37;

    // Empty, single, few, more than one block of tokens.
    private static readonly int[] s_counts = [3, 0, 1, 60, 0, 6, 1];

    [Theory]
    [InlineData(WeightFormat.BF16, ActivationKind.Silu, true, true)]
    [InlineData(WeightFormat.F32, ActivationKind.Gelu, true, false)]
    [InlineData(WeightFormat.F16, ActivationKind.GeluTanh, false, true)]
    [InlineData(WeightFormat.F8E4M3, ActivationKind.Relu, false, false)]
    [InlineData(WeightFormat.MxFp4, ActivationKind.ClampedSwiGlu, true, true)]
    public void GateUp_SkewedRouting_HasTheBitsOfTheReference(
        WeightFormat format, ActivationKind kind, bool gated, bool biased)
    {
        using Experts gate = new(format, Intermediate, Hidden, 1), up = new(format, Intermediate, Hidden, 100);
        int[] offsets = Offsets();
        using NativeFloats x = new(CpuTests.Random(new Random(5), offsets[^1] * Hidden));
        Activation activation = new(kind, gated);
        float[] expected = new float[offsets[^1] * Intermediate];
        for (int e = 0; e < s_counts.Length; e++)
        {
            for (int n = offsets[e]; n < offsets[e + 1]; n++)
            {
                for (int i = 0; i < Intermediate; i++)
                {
                    float g = gated ? gate.Project(e, i, x.Pointer + (n * Hidden), biased) : 0;
                    float u = up.Project(e, i, x.Pointer + (n * Hidden), biased);
                    expected[(n * Intermediate) + i] = ReferenceExperts.Activate(activation, g, u);
                }
            }
        }

        CpuTests.AssertBits(expected, pool =>
        {
            using NativeFloats a = new(offsets[^1] * (Intermediate + 2));
            fixed (int* first = offsets)
            {
                GroupedGemm.GateUp(
                    pool, activation, gated ? gate.Views : null, up.Views, biased && gated ? gate.Biases : null,
                    biased ? up.Biases : null, s_counts.Length, first, x.Pointer, Hidden, a.Pointer, Intermediate + 2);
            }

            return a.Rows(offsets[^1], Intermediate, Intermediate + 2);
        });
    }

    [Theory]
    [InlineData(WeightFormat.BF16, true)]
    [InlineData(WeightFormat.MxFp4, false)]
    public void Down_SkewedRouting_HasTheBitsOfTheReference(WeightFormat format, bool biased)
    {
        using Experts down = new(format, Intermediate, Hidden, 7);
        int[] offsets = Offsets();
        using NativeFloats x = new(CpuTests.Random(new Random(5), offsets[^1] * Hidden));
        float[] expected = new float[offsets[^1] * Intermediate];
        for (int e = 0; e < s_counts.Length; e++)
        {
            for (int n = offsets[e]; n < offsets[e + 1]; n++)
            {
                for (int i = 0; i < Intermediate; i++)
                    expected[(n * Intermediate) + i] = down.Project(e, i, x.Pointer + (n * Hidden), biased);
            }
        }

        CpuTests.AssertBits(expected, pool =>
        {
            using NativeFloats y = new(offsets[^1] * Intermediate);
            fixed (int* first = offsets)
            {
                GroupedGemm.Down(
                    pool, down.Views, biased ? down.Biases : null, s_counts.Length, first, x.Pointer, Hidden, y.Pointer,
                    Intermediate);
            }

            return y.Span.ToArray();
        });
    }

    private static int[] Offsets()
    {
        int[] offsets = new int[s_counts.Length + 1];
        for (int e = 0; e < s_counts.Length; e++)
            offsets[e + 1] = offsets[e] + s_counts[e];
        return offsets;
    }

    private sealed class Experts : IDisposable
    {
        private readonly TestMatrix[] _matrices;
        private readonly NativeFloats[] _biases;

        public Experts(WeightFormat format, int rows, int columns, int seed)
        {
            int count = s_counts.Length;
            Views = (WeightMatrix*)NativeMemory.Alloc((nuint)(count * sizeof(WeightMatrix)));
            Biases = (float**)NativeMemory.Alloc((nuint)(count * sizeof(float*)));
            _matrices = [.. Enumerable.Range(0, count).Select(e => new TestMatrix(format, rows, columns, seed + e))];
            _biases =
                [.. Enumerable.Range(0, count).Select(e => new NativeFloats(CpuTests.Random(new Random(e), rows)))];
            for (int e = 0; e < count; e++)
            {
                Views[e] = _matrices[e].View;
                Biases[e] = _biases[e].Pointer;
            }
        }

        public WeightMatrix* Views { get; }

        public float** Biases { get; }

        public float Project(int expert, int row, float* x, bool biased)
        {
            float sum = ReferenceDot.Row(Views[expert], row, x);
            return biased ? sum + Biases[expert][row] : sum;
        }

        public void Dispose()
        {
            foreach (TestMatrix matrix in _matrices)
                matrix.Dispose();
            foreach (NativeFloats bias in _biases)
                bias.Dispose();
            NativeMemory.Free(Views);
            NativeMemory.Free(Biases);
        }
    }
}
