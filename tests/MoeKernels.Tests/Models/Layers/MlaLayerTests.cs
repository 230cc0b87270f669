using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;
using MoeKernels.Tests.Cpu;

namespace MoeKernels.Tests.Models.Layers;

public sealed unsafe class MlaLayerTests
{
    private const int Hidden = 20, Heads = 3, Nope = 9, Rotary = 4, Value = 6, Rank = 21, Rows = 7;

    [Theory]
    [InlineData(128, 128)]
    [InlineData(5, 7)]
    [InlineData(1, 16)]
    public void Forward_BlockScaledFp8_HasTheBitsOfTheWidenedWeights(int blockRows, int blockColumns)
    {
        const int UpRows = Heads * (Nope + Value);
        Random random = new(blockRows);
        byte[] codes = [.. Enumerable.Range(0, UpRows * Rank)
            .Select(_ => (byte)(random.Next(0x60) | (random.Next(2) << 7)))];
        int scaleColumns = (Rank + blockColumns - 1) / blockColumns;
        using NativeFloats scales = new(Values(random, (UpRows + blockRows - 1) / blockRows * scaleColumns));
        using NativeFloats widened = new(codes.Length);
        fixed (byte* data = codes)
        {
            WeightMatrix fp8 = WeightMatrix.F8(data, UpRows, Rank, scales.Pointer, blockRows, blockColumns);
            for (int i = 0; i < codes.Length; i++)
                widened.Span[i] = WeightElement.Get(fp8, i / Rank, i % Rank);

            Assert.Equal(Forward(Matrix(widened, UpRows, Rank)), Forward(fp8));
        }
    }

    private static float[] Forward(in WeightMatrix up)
    {
        Random random = new(3);
        using NativeFloats query = new(Values(random, Heads * (Nope + Rotary) * Hidden));
        using NativeFloats down = new(Values(random, (Rank + Rotary) * Hidden));
        using NativeFloats output = new(Values(random, Hidden * Heads * Value));
        using NativeFloats norm = new(Values(random, Rank));
        using NativeFloats x = new(Values(random, Rows * Hidden)), y = new(Rows * Hidden);
        MlaSpec spec = new()
        {
            Heads = Heads,
            NopeDim = Nope,
            RopeDim = Rotary,
            ValueDim = Value,
            KvRank = Rank,
            Scale = 0.3f,
            Rope = new RopeSpec(10000, Rotary, Interleaved: true),
            Query = new LinearSpec("q", Heads * (Nope + Rotary), Hidden),
            KvDown = new LinearSpec("kv", Rank + Rotary, Hidden),
            KvNorm = new NormSpec(NormKind.Rms, "norm", Rank, 1e-6f),
            KvUp = new LinearSpec("up", up.Rows, Rank),
            Output = new LinearSpec("o", Hidden, Heads * Value),
        };
        using RopeTable rope = new(spec.Rope);
        MlaLayer layer = new(spec, new MlaWeights
        {
            Query = new LinearWeights(Matrix(query, spec.Query.Outputs, Hidden), null),
            KvDown = new LinearWeights(Matrix(down, spec.KvDown.Outputs, Hidden), null),
            KvNorm = new NormLayer(spec.KvNorm, norm.Pointer, null),
            KvUp = new LinearWeights(up, null),
            Output = new LinearWeights(Matrix(output, Hidden, Heads * Value), null),
            Rope = rope,
        })
        {
            StateIndex = 0,
        };
        using WorkerPool pool = new(2);
        using Workspace workspace = new(spec.ScratchFloats(Rows, Rows, pool.Threads));
        using SequenceState sequence = new([layer.CreateState(Rows)], Rows);
        ForwardContext context = new(pool, workspace);
        context.Batch.Add(sequence, Rows);
        layer.Forward(context, x.Pointer, y.Pointer);
        return y.Span.ToArray();
    }

    private static WeightMatrix Matrix(NativeFloats values, int rows, int columns) =>
        new(WeightFormat.F32, values.Pointer, rows, columns, (nint)columns * sizeof(float));

    private static float[] Values(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
}
