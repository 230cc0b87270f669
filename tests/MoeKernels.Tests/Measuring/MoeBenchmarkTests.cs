using MoeKernels.Cpu;
using MoeKernels.Measuring;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Measuring;

/// <summary>That everything is measured and adds up; never how fast it is.</summary>
public class MoeBenchmarkTests
{
    private static string Sample => RepositoryPaths.DataFile("novelist-s");

    [Theory]
    [InlineData("f32", 32)]
    [InlineData("f16", 16)]
    [InlineData("bf16", 16)]
    [InlineData("codebook:8", 1.5)]
    [InlineData("codebook:5x3", 5.75)]
    public async Task Kernel_AnyLayout_FiguresAddUp(string layout, double bits)
    {
        var options = new KernelBenchmarkOptions
        {
            Layout = KernelLayout.Parse(layout), Rows = 192, Columns = 32, Tokens = 3, Threads = 1, Share = 4,
            RotateBytes = 100_000, Rounds = 2, MaxWarmUpSeconds = 0,
        };
        List<BenchmarkProgress> steps = [];
        var result = await MoeBenchmark.KernelAsync(options, new Steps(steps));
        Assert.Equal(bits, result.BitsPerWeight, 6);
        Assert.True(result.Matrices * result.MatrixBytes >= options.RotateBytes);
        int rounds = options.Rounds + Interleaved.WarmUpRounds;
        Assert.Equal(1 + rounds, steps.Count);
        Assert.Equal(new BenchmarkProgress("rounds", rounds - 1, rounds), steps[^1]);

        // Three ways to say the same speed.
        double perCall = 192.0 * 32 * 3 * 4;
        Assert.Equal(1, perCall / result.SecondsPerCall / result.WeightsPerSecond, 6);
        Assert.Equal(1, result.MatrixBytes * 4 / result.SecondsPerCall / result.BytesPerSecond, 6);
        Assert.True(result.PlainReadBytesPerSecond > 0 && result.FastestReadBytesPerSecond > 0);
        Assert.True(result.OfPlainRead > 0);
    }

    [Fact]
    public async Task Kernel_TernaryTiles_AreMeasured()
    {
        var result = await MoeBenchmark.KernelAsync(new KernelBenchmarkOptions
        {
            Layout = KernelLayout.Parse("qmoe"), Rows = 130, Columns = 300, Tokens = 2, Threads = 1,
            RotateBytes = 20_000, Rounds = 1, MaxWarmUpSeconds = 0,
        });
        Assert.InRange(result.BitsPerWeight, 1, 3);
        Assert.True(result.Matrices > 1 && result.WeightsPerSecond > 0);
    }

    [Fact]
    public async Task Kernel_NoRotation_UsesOneMatrix()
    {
        var result = await MoeBenchmark.KernelAsync(new KernelBenchmarkOptions
        {
            Layout = KernelLayout.Parse("bf16"), Rows = 7, Columns = 5, Threads = 2, Share = 3, RotateBytes = 0,
            Rounds = 1, MaxWarmUpSeconds = 0,
        });
        Assert.Equal((1, 70L, 2), (result.Matrices, result.MatrixBytes, result.Options.Threads));
    }

    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(1, 0, 1)]
    [InlineData(1, 1, 0)]
    [InlineData(1 << 25, 1, 1)]
    public async Task Kernel_SizeOutOfRange_IsRefused(int rows, int columns, int tokens) =>
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => MoeBenchmark.KernelAsync(new KernelBenchmarkOptions
        {
            Layout = KernelLayout.Parse("bf16"), Rows = rows, Columns = columns, Tokens = tokens,
        }));

    /// <summary>Refused before the memory is filled.</summary>
    [Theory]
    [InlineData("bf16")]
    [InlineData("codebook:8")]
    public async Task Kernel_MoreThanTheMemory_IsRefused(string layout) =>
        await Assert.ThrowsAsync<MoeOutOfMemoryException>(() => MoeBenchmark.KernelAsync(new KernelBenchmarkOptions
        {
            Layout = KernelLayout.Parse(layout), Rows = 4096, Columns = 4096, RotateBytes = 1L << 44,
        }));

    [Fact]
    public async Task Kernel_TernaryBeyondAnArray_IsRefused() =>
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => MoeBenchmark.KernelAsync(new KernelBenchmarkOptions
        {
            Layout = KernelLayout.Parse("qmoe"), Rows = 1 << 20, Columns = 1 << 20,
        }));

    [Fact]
    public async Task Kernel_Cancelled_Stops()
    {
        using var source = new CancellationTokenSource();
        var options = new KernelBenchmarkOptions
        {
            Layout = KernelLayout.Parse("bf16"), Rows = 8, Columns = 8, RotateBytes = 0, Rounds = 60_000,
            MaxWarmUpSeconds = 0,
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => MoeBenchmark.KernelAsync(options, new Cancel(source), source.Token));
    }

    [Fact]
    public async Task Model_SampleModel_MeasuresEveryLength()
    {
        var options = Quick([3, 9]);
        var result = await MoeBenchmark.ModelAsync(Sample, options);
        Assert.Equal([3, 9], result.Lengths.Select(length => length.PromptTokens));
        Assert.All(result.Lengths, length => Assert.True(
            length is { PrefillTokensPerSecond: > 0, FirstTokenSeconds: > 0, DecodeTokensPerSecond: > 0 }));
        Assert.Equal(11, result.Plan.ContextLength);
        Assert.True(result.PeakResidentBytes > 0 && result.LoadSeconds > 0 && result.PlainReadBytesPerSecond > 0);
        Assert.Equal(
            result.Plan.BytesPerToken * result.Lengths[0].DecodeTokensPerSecond, result.DecodeBytesPerSecond, 1);
    }

    [Fact]
    public async Task Model_EncoderDecoder_IsMeasured()
    {
        var options = Quick([4]);
        var result = await MoeBenchmark.ModelAsync(RepositoryPaths.DataFile("models", "switch"), options);
        Assert.True(result.Model.IsEncoderDecoder);
        Assert.Single(result.Lengths);
    }

    [Fact]
    public async Task Model_PromptBeyondTheContext_IsRefused() =>
        await Assert.ThrowsAsync<ArgumentException>(() => MoeBenchmark.ModelAsync(
            Sample, new ModelBenchmarkOptions { PromptTokens = [1 << 20] }));

    [Theory]
    [InlineData("f32")]
    [InlineData("bf16")]
    [InlineData("codebook:8")]
    [InlineData("codebook:16x4")]
    [InlineData("qmoe")]
    public void Layout_ParsedAndShown_IsTheSameText(string text) =>
        Assert.Equal(text, KernelLayout.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("BF16")]
    [InlineData("codebook")]
    [InlineData("codebook:")]
    [InlineData("codebook:0")]
    [InlineData("codebook:17")]
    [InlineData("codebook:8x5")]
    [InlineData("codebook:8x2x1")]
    [InlineData("codebook:+8")]
    public void Layout_Unknown_IsRefused(string text) =>
        Assert.Throws<ArgumentException>(() => KernelLayout.Parse(text));

    /// <summary>Odd lengths: every whole vector is read, and nothing behind the end.</summary>
    [Theory]
    [InlineData(256)]
    [InlineData(1024)]
    [InlineData((1 << 20) + 512)]
    [InlineData((3 << 20) + 256)]
    public unsafe void PlainRead_OfOnes_CountsThem(int bytes)
    {
        using var pool = new WorkerPool(2);
        using var memory = NativeBuffer.Allocate(bytes + 64, "test");
        memory.AsSpan<byte>().Fill(0xFF);
        memory.AsSpan<long>()[..(bytes / 8)].Fill(1);
        Assert.Equal(bytes / 8, PlainRead.Run(pool, memory.Pointer, bytes));
        Assert.Equal(bytes / 8, PlainRead.RunStreams(pool, memory.Pointer, bytes));
    }

    private static ModelBenchmarkOptions Quick(int[] lengths) => new()
    {
        PromptTokens = lengths, DecodeTokens = 2, Threads = 1, Rounds = 1, MaxWarmUpSeconds = 0,
    };

    private sealed class Steps(List<BenchmarkProgress> steps) : IProgress<BenchmarkProgress>
    {
        public void Report(BenchmarkProgress value) => steps.Add(value);
    }

    private sealed class Cancel(CancellationTokenSource source) : IProgress<BenchmarkProgress>
    {
        public void Report(BenchmarkProgress value) => source.Cancel();
    }
}
