using MoeKernels.Cpu;
using MoeKernels.Cuda;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;
using MoeKernels.Models.Placement;
using MoeKernels.Tests.Cpu;
using MoeKernels.Tests.Cuda;

namespace MoeKernels.Tests.Models.Placement;

/// <summary>One layer of latent attention on a device against the same layer on the CPU.</summary>
public sealed unsafe class DeviceMlaLayerTests
{
    private const int Hidden = 20, Heads = 3, Rotary = 4, Context = 16;

    /// <summary>Rows of the two sequences of a batch.</summary>
    private const int FirstRows = 11, SecondRows = 2;

    /// <summary>Four sums of at most 256 terms follow each other, each off by half an ulp a term.</summary>
    private const double Tolerance = 4 * 256 / (double)(1 << 24);

    [Theory]
    [InlineData(WeightFormat.F32, 9, 6, 21)]
    [InlineData(WeightFormat.F16, 12, 16, 24)]
    [InlineData(WeightFormat.BF16, 8, 20, 40)]
    [InlineData(WeightFormat.F8E4M3, 128, 128, 160)]
    [InlineData(WeightFormat.F8E4M3, 12, 16, 40)]
    [InlineData(WeightFormat.MxFp4, 12, 16, 32)]
    [InlineData(WeightFormat.GroupedInt, 12, 16, 70)]
    public void Forward_KvProjectionInEveryFormat_MatchesTheCpu(WeightFormat format, int nope, int value, int rank)
    {
        MlaSpec spec = Spec(nope, value, rank);
        using TestMatrix up = new(format, spec.KvUp.Outputs, rank, 5, 128, 128);
        float[] expected = OnCpu(spec, up.View);
        float[] actual = OnDevice(spec, up.View);
        double largest = expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], actual[i], Tolerance * largest);
    }

    [Fact]
    public void Forward_InBlocksOfAnyRows_GivesTheSameBits()
    {
        MlaSpec spec = Spec(9, 6, 21);
        using TestMatrix up = new(WeightFormat.BF16, spec.KvUp.Outputs, spec.KvRank, 5);
        float[] whole = OnDevice(spec, up.View);
        int row = Heads * (spec.LatentDim + spec.KvRank);
        foreach (int rows in (int[])[1, 3, 10])
            Assert.Equal(whole, OnDevice(spec with { BlockFloats = (long)rows * row }, up.View));
    }

    [Theory]
    [InlineData(512, 64, null)]
    [InlineData(513, 4, "attention over wide latents")]
    [InlineData(512, 66, "attention over wide latents")]
    public void Missing_LatentsBeyondTheKernels_AreNamed(int rank, int rotary, string? reason) =>
        Assert.Equal(reason, DeviceKernels.Missing(Spec(8, 8, 32) with { KvRank = rank, RopeDim = rotary }));

    private static MlaSpec Spec(int nope, int value, int rank) => new()
    {
        Heads = Heads,
        NopeDim = nope,
        RopeDim = Rotary,
        ValueDim = value,
        KvRank = rank,
        Scale = 0.3f,
        Rope = new RopeSpec(10000, Rotary, Interleaved: true),
        Query = new LinearSpec("q", Heads * (nope + Rotary), Hidden),
        KvDown = new LinearSpec("kv", rank + Rotary, Hidden),
        KvNorm = new NormSpec(NormKind.Rms, "norm", rank, 1e-6f),
        KvUp = new LinearSpec("up", Heads * (nope + value), rank),
        Output = new LinearSpec("o", Hidden, Heads * value),
    };

    private static float[] OnCpu(MlaSpec spec, in WeightMatrix up) =>
        Run(spec, up, layer => layer, (layer, context, x, y) => layer.Forward(context, x, y));

    private static float[] OnDevice(MlaSpec spec, in WeightMatrix up)
    {
        using CudaDevice device = NativeLibraryUnderTest.Require();
        DeviceMlaLayer? placed = null;
        try
        {
            return Run(
                spec, up, layer => placed = new DeviceMlaLayer(device, layer),
                (_, context, x, y) => Forward(device, placed!, context, x, y));
        }
        finally
        {
            placed?.Dispose();
        }
    }

    private static void Forward(CudaDevice device, DeviceMlaLayer layer, ForwardContext context, float* x, float* y)
    {
        DeviceQueue queue = context.Queue(device);
        int floats = context.Batch.Rows * Hidden;
        queue.Reserve((2 * DeviceQueue.RoundedFloats(floats)) + layer.ScratchBytes(device, context.Batch));
        long mark = queue.Mark();
        float* input = queue.Put(new ReadOnlySpan<float>(x, floats));
        float* output = queue.Take(floats);
        layer.Forward(context, queue, input, output);
        queue.CopyOut(y, output, floats * sizeof(float));
        queue.Synchronize();
        queue.Release(mark);
    }

    private delegate void Step(MlaLayer layer, ForwardContext context, float* x, float* y);

    /// <summary>A batch of two sequences, then one more row of the first.</summary>
    private static float[] Run(MlaSpec spec, in WeightMatrix up, Func<MlaLayer, IStateful> place, Step step)
    {
        const int Rows = FirstRows + SecondRows;
        using TestMatrix query = new(WeightFormat.F32, spec.Query!.Outputs, Hidden, 1);
        using TestMatrix down = new(WeightFormat.F32, spec.KvDown.Outputs, Hidden, 2);
        using TestMatrix output = new(WeightFormat.F32, Hidden, spec.Output.Inputs, 3);
        using NativeFloats norm = new(CpuTests.Random(new Random(4), spec.KvRank));
        using NativeFloats x = new(CpuTests.Random(new Random(6), (Rows + 1) * Hidden));
        using NativeFloats y = new((Rows + 1) * Hidden);
        using RopeTable rope = new(spec.Rope);
        MlaLayer layer = new(spec, new MlaWeights
        {
            Query = new LinearWeights(query.View, null),
            KvDown = new LinearWeights(down.View, null),
            KvNorm = new NormLayer(spec.KvNorm, norm.Pointer, null),
            KvUp = new LinearWeights(up, null),
            Output = new LinearWeights(output.View, null),
            Rope = rope,
        })
        {
            StateIndex = 0,
        };
        IStateful stateful = place(layer);
        using WorkerPool pool = new(2);
        using Workspace workspace = new(spec.ScratchFloats(Rows, Context, pool.Threads));
        using SequenceState first = new([stateful.CreateState(Context)!], Context);
        using SequenceState second = new([stateful.CreateState(Context)!], Context);
        ForwardContext context = new(pool, workspace);
        context.Batch.Add(first, FirstRows);
        context.Batch.Add(second, SecondRows);
        step(layer, context, x.Pointer, y.Pointer);
        first.Advance(FirstRows);
        context.Batch.Clear();
        context.Batch.Add(first, 1);
        step(layer, context, x.Pointer + (Rows * Hidden), y.Pointer + (Rows * Hidden));
        return y.Span.ToArray();
    }
}
