using CsCheck;
using MoeKernels.Compression;

namespace MoeKernels.Tests.Compression;

public unsafe class GemmTests
{
    private static readonly Gen<int> Extent = Gen.OneOf(
        Gen.Int[1, 40],
        Gen.OneOf(Gen.Const(17), Gen.Const(127), Gen.Const(240), Gen.Const(257), Gen.Const(300)));

    [Fact]
    public void Add_AnySizesAndTranspositions_EqualsPlainSums() =>
        Gen.Select(
            Extent, Extent, Extent, Gen.Bool, Gen.Bool,
            Gen.OneOf(Gen.Const(1f), Gen.Const(-1f), Gen.Const(0.5f))).Sample(
            (m, n, k, transposeA, transposeB, factor) => Check(m, n, k, transposeA, transposeB, factor, upper: false),
            iter: 60, threads: 1);

    [Fact]
    public void Add_Upper_EqualsPlainSumsInUpperTriangle() =>
        Gen.Select(Extent, Extent, Gen.Bool).Sample(
            (n, k, transposed) => Check(n, n, k, transposed, !transposed, -1, upper: true), iter: 40, threads: 1);

    [Fact]
    public void Add_ManyColumnBlocks_EqualsPlainSums() => Check(13, 2100, 5, false, true, 1, upper: false);

    [Fact]
    public void AddMoments_ThenMirror_IsSymmetricMoments()
    {
        using Scratch scratch = new();
        using NativeMatrix x = NativeMatrix.Normal(300, 127, seed: 3, gap: 5);
        using NativeMatrix h = new(127, 127);
        h.Fill((_, _) => 1);
        Gemm.AddMoments(x.View, 200, 127, h.Data, scratch);
        Gemm.AddMoments(x.View.From(200, 0), 100, 127, h.Data, scratch);
        Gemm.Mirror(h.Data, 127);
        for (int i = 0; i < 127; i++)
        {
            for (int j = 0; j < 127; j++)
            {
                double sum = 1;
                for (int t = 0; t < 300; t++)
                    sum += (double)x[t, i] * x[t, j];
                Assert.Equal(sum, h[i, j], 3e-4);
                Assert.Equal(h[j, i], h[i, j]);
            }
        }
    }

    private static void Check(int m, int n, int k, bool transposeA, bool transposeB, float factor, bool upper)
    {
        using Scratch scratch = new();
        using NativeMatrix a = transposeA ? NativeMatrix.Normal(k, m, 1, 3) : NativeMatrix.Normal(m, k, 1, 3);
        using NativeMatrix b = transposeB ? NativeMatrix.Normal(n, k, 2, 1) : NativeMatrix.Normal(k, n, 2, 1);
        using NativeMatrix c = NativeMatrix.Normal(m, n, 3, 2);
        double[,] before = c.ToDouble();
        Gemm.Add(
            factor, transposeA ? a.View.Transposed : a.View, transposeB ? b.View.Transposed : b.View, c.Data, c.Stride,
            m, n, k, scratch, upper);
        for (int i = 0; i < m; i++)
        {
            Assert.True(float.IsNaN(c.Data[(i * c.Stride) + n]), "a gap was written");
            for (int j = upper ? i : 0; j < n; j++)
            {
                double sum = before[i, j];
                for (int p = 0; p < k; p++)
                    sum += (double)factor * (transposeA ? a[p, i] : a[i, p]) * (transposeB ? b[j, p] : b[p, j]);
                Assert.True(Math.Abs(sum - c[i, j]) < 2e-5 * Math.Sqrt(k + 1), $"{m} {n} {k}: {sum} and {c[i, j]}");
            }
        }
    }
}
