using CsCheck;
using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Tests.Models.Layers;

public unsafe class RelativePositionBiasTests
{
    /// <summary>T5's defaults: 32 buckets up to 128; the first distance of every bucket behind the exact half is
    /// <c>ceil(8 * 16^(i/8))</c> in both directions and <c>ceil(16 * 8^(i/16))</c> backwards.</summary>
    [Theory]
    [InlineData(true, new[] { 0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91 })]
    [InlineData(false, new[]
    {
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113,
    })]
    public void Bucket_OfT5Defaults_ChangesAtKnownDistances(bool bidirectional, int[] starts)
    {
        RelativeBiasSpec spec = new("bias", 32, 128, bidirectional);
        for (int distance = 0; distance < 300; distance++)
        {
            int expected = starts.Count(start => start <= distance) - 1;
            Assert.Equal(expected, RelativePositionBias.Bucket(spec, -distance));
            int later = bidirectional && distance > 0 ? 16 + expected : 0;
            Assert.Equal(later, RelativePositionBias.Bucket(spec, distance));
        }
    }

    [Fact]
    public void Bucket_OfAnySpec_IsMonotoneAndInRange() => Gen.Select(
        Gen.Int[4, 64], Gen.Int[1, 200], Gen.Bool).Sample((buckets, beyond, bidirectional) =>
    {
        RelativeBiasSpec spec = new("bias", buckets, (buckets / (bidirectional ? 4 : 2)) + beyond, bidirectional);
        int previous = 0;
        for (int distance = 0; distance < 400; distance++)
        {
            int bucket = RelativePositionBias.Bucket(spec, -distance);
            Assert.InRange(bucket, previous, (bidirectional ? buckets / 2 : buckets) - 1);
            previous = bucket;
        }
    });

    [Fact]
    public void Attach_AnyRange_GivesEveryPairItsBias() => Gen.Select(
        Gen.Int[1, 9], Gen.Int[1, 80], Gen.Int[0, 60], Gen.Int[1, 3], Gen.Bool).Sample(
        (queries, keys, query, heads, bidirectional) =>
    {
        RelativeBiasSpec spec = new("bias", 8, 20, bidirectional);
        float[] table = [.. Enumerable.Range(0, 8 * heads).Select(i => i + 0.5f)];
        using Workspace workspace = new(RelativePositionBias.ScratchFloats(heads, queries, keys));
        fixed (float* weights = table)
        {
            AttentionInput input = new() { Rows = queries, Heads = heads };
            new RelativePositionBias(spec, heads, weights).Attach(workspace, ref input, query, 0, keys);
            for (int row = 0; row < queries; row++)
            {
                for (int head = 0; head < heads; head++)
                {
                    for (int key = 0; key < keys; key++)
                    {
                        int bucket = RelativePositionBias.Bucket(spec, key - (query + row));
                        float actual = input.Bias[(row * input.BiasStride) + (head * input.BiasHeadStride) + key];
                        Assert.Equal(table[(bucket * heads) + head], actual);
                    }
                }
            }
        }
    });
}
