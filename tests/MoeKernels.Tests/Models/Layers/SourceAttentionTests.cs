using CsCheck;
using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Models.Layers;

public unsafe class SourceAttentionTests
{
    private static readonly RelativeBiasSpec Relative = new("bias", 8, 20, Bidirectional: true);

    [Fact]
    public void Forward_AnyMask_EqualsTheReference() => Gen.Select(
        Gen.Int[1, 4], Gen.Int[1, 19], Gen.Bool, Gen.Int[1, 24].SelectMany(n => Gen.Int[0, 1].Array[n]), Gen.Int)
        .Sample((heads, dim, relative, mask, seed) =>
    {
        mask[seed & 1 & (mask.Length - 1)] = 1;
        CheckAgainstReference(heads, dim, relative, mask, new Random(seed));
    });

    [Fact]
    public void Forward_HiddenKeysAndValues_AreNeverUsed()
    {
        int[] mask = [0, 1, 0, 1, 1, 0];
        Random random = new(3);
        double[][] q = Rows(random, 6, 8), k = Rows(random, 6, 8), v = Rows(random, 6, 8);
        float[] expected = Run(q, k, v, 2, mask, relative: false, random);
        foreach (int hidden in new[] { 0, 2, 5 })
        {
            k[hidden] = [.. k[hidden].Select(_ => 40.0)];
            v[hidden] = [.. v[hidden].Select(_ => -1e6)];
        }

        Assert.Equal(expected, Run(q, k, v, 2, mask, relative: false, random));
    }

    private static void CheckAgainstReference(int heads, int dim, bool relative, int[] mask, Random random)
    {
        int length = mask.Length;
        int queries = relative ? length : random.Next(1, 7);
        double[][] q = Rows(random, queries, heads * dim);
        double[][] k = Rows(random, length, heads * dim);
        double[][] v = Rows(random, length, heads * dim);
        float[] bias = [.. Enumerable.Range(0, 8 * heads).Select(_ => random.NextSingle())];
        float[] actual = Run(q, k, v, heads, mask, relative, random, bias);
        double[][] expected = ReferenceMath.Attend(
            q, k, v, heads, 0.5, (_, j) => mask[j] == 1,
            (h, i, j) => relative ? bias[(RelativePositionBias.Bucket(Relative, j - i) * heads) + h] : 0);
        double[] flat = [.. expected.SelectMany(row => row)];
        for (int i = 0; i < flat.Length; i++)
            Assert.Equal(flat[i], actual[i], 1e-5);
    }

    private static float[] Run(
        double[][] q, double[][] k, double[][] v, int heads, int[] mask, bool relative, Random random,
        float[]? bias = null)
    {
        bias ??= new float[8 * heads];
        int width = q[0].Length, dim = width / heads;
        using WorkerPool pool = new(1 + random.Next(2));
        using Workspace workspace = new(SourceAttention.ScratchFloats(heads, q.Length, k.Length, relative));
        ForwardContext context = new(pool, workspace);
        float[] y = new float[q.Length * width];
        Array.Fill(y, float.NaN);
        fixed (float* qp = Flat(q), kp = Flat(k), vp = Flat(v), yp = y, weights = bias)
        {
            AttentionInput input = new()
            {
                Q = qp, QStride = width, QHeadStride = dim,
                K = kp, KStride = width, KHeadStride = dim,
                V = vp, VStride = width, VHeadStride = dim,
                Y = yp, YStride = width, YHeadStride = dim,
                Rows = q.Length, Heads = heads, KvHeads = heads, KeyDim = dim, ValueDim = dim, Scale = 0.5f,
            };
            RelativePositionBias? table = relative ? new(Relative, heads, weights) : null;
            SourceAttention.Forward(context, input, new SourceMask(mask), table);
        }

        return y;
    }

    private static float[] Flat(double[][] rows) => [.. rows.SelectMany(row => row).Select(value => (float)value)];

    private static double[][] Rows(Random random, int rows, int columns) =>
        [.. Enumerable.Range(0, rows).Select(_ =>
            Enumerable.Range(0, columns).Select(_ => (double)(random.NextSingle() - 0.5f)).ToArray())];
}
