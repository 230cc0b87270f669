using System.Text.Json;
using MoeKernels.Compression;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Families;
using MoeKernels.Planning;
using MoeKernels.Tests.Cli;
using MoeKernels.Tests.Compression.Pipeline;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Compression.Cost;

/// <summary>Plans of compressions: memory against real runs, work by its sizes, and what is refused.</summary>
[Collection("Cpu")]
public sealed class CompressPlanTests : IDisposable
{
    /// <summary>The runtime's heap and compiled code are part of the process and differ from run to run.</summary>
    private const double Tolerance = 0.25;

    private static readonly MachineSpeed Speed = new()
    {
        Threads = 2, Targets = 1, Codes = 1, Training = 1, ScalarExpert = 1e-3, Dense = [1e-6, 1e-6, 1e-6, 1e-6],
        Coded = [1e-6, 1e-6, 1e-6, 1e-6], Head = 1e-6, Comparison = 1e-6, Reading = 1e-9,
    };

    private readonly TempFolder _folder = new();

    private static string Sample => RepositoryPaths.DataFile("novelist-s");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("--tokens", "4096")]
    [InlineData("--tokens", "32768", "--allocation", "uniform")]
    [InlineData("--tokens", "4096", "--method", "int:3")]
    public async Task Process_Compressing_PeaksWhereItWasPlanned(params string[] options)
    {
        CommandResult run = await MoeCommand.RunAsync(["compress", Sample, _folder["out"], "--json", .. options]);
        JsonElement cost = run.Json.GetProperty("cost");
        long peak = cost.GetProperty("peak_bytes").GetInt64();
        Assert.InRange(
            cost.GetProperty("planned_peak_bytes").GetInt64(), (1 - Tolerance) * peak, (1 + Tolerance) * peak);
        Assert.True(cost.GetProperty("planned_seconds").GetDouble() > 0);

        CommandResult plan = await MoeCommand.RunAsync(["plan", Sample, "--compress", "--json", .. options]);
        Assert.Equal(0, plan.ExitCode);
        Assert.Equal("moe.plan-compress/1", plan.Json.GetProperty("schema").GetString());
        Assert.InRange(plan.Json.GetProperty("peak_bytes").GetInt64(), (1 - Tolerance) * peak, (1 + Tolerance) * peak);
        Assert.InRange(
            plan.Json.GetProperty("output_bytes").GetInt64(),
            (1 - Tolerance) * run.Json.GetProperty("sizes").GetProperty("weight_bytes").GetInt64(),
            (1 + Tolerance) * run.Json.GetProperty("sizes").GetProperty("weight_bytes").GetInt64());
    }

    [Fact]
    public async Task Command_ForASmallMachine_SaysThatItDoesNotFit()
    {
        CommandResult small = await MoeCommand.RunAsync(
            "plan", Sample, "--compress", "--tokens", "2048", "--for", "16MiB");
        Assert.Equal(5, small.ExitCode);
        Assert.Contains("does not fit the 16.0 MiB available", small.Output, StringComparison.Ordinal);
        string[][] mistakes = [["--bits", "1"], ["--compress", "--ctx", "64"], ["--compress", "--bits", "9"]];
        foreach (string[] wrong in mistakes)
            Assert.Equal(2, (await MoeCommand.RunAsync(["plan", Sample, .. wrong])).ExitCode);
    }

    [Fact]
    public async Task Model_ThatCannotBeCompressed_IsRefusedLikeByTheRun()
    {
        CompressOptions options = SmallNovelist.Options;
        await Assert.ThrowsAsync<MoeUnsupportedException>(
            () => Compressor.PlanAsync(Golden.Folder("llama"), options));
        await Assert.ThrowsAsync<MoeBudgetException>(
            () => Compressor.PlanAsync(Sample, options with { Bits = 0.4 }));
        await Assert.ThrowsAsync<ArgumentException>(
            () => Compressor.PlanAsync(Sample, options with { Texts = ["A few words."] }));
        await Assert.ThrowsAsync<MoeFormatException>(() => Compressor.PlanAsync(_folder["nothing"], options));
        using CancellationTokenSource stop = new();
        stop.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Compressor.PlanAsync(Sample, options, stop.Token));
    }

    [Fact]
    public async Task Report_OfAFreshRun_HasThePlanAndOfAResumedOneNone()
    {
        using SmallNovelist model = new();
        CompressionReport fresh = await Compressor.RunAsync(model.Path, _folder["fresh"], SmallNovelist.Options);
        Assert.True(fresh.Cost is { PlannedSeconds: > 0, PlannedPeakBytes: > 0 });
        Assert.Contains("in all, as planned", fresh.ToMarkdown(), StringComparison.Ordinal);
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Compressor.RunAsync(
            model.Path, _folder["out"], SmallNovelist.Options, new Progress(step =>
            {
                if (step.Stage == "evaluating")
                    stop.Cancel();
            }), stop.Token));
        CompressionReport resumed = await Compressor.RunAsync(model.Path, _folder["out"], SmallNovelist.Options);
        Assert.True(resumed.Cost is { PlannedSeconds: null, PlannedPeakBytes: null });
    }

    [Fact]
    public void Work_GrowsWithWhatIsAskedFor()
    {
        CompressOptions options = SmallNovelist.Options with { Allocation = AllocationMode.Fast };
        CompressionTimes fast = Times(options), full = Times(options with { Allocation = AllocationMode.Full });
        Assert.Equal(0, Times(options with { Allocation = AllocationMode.Uniform }).Allocation());
        Assert.InRange(full.Allocation(), 2 * fast.Allocation(), 40 * fast.Allocation());
        Assert.InRange(Times(options, tokens: 40_000).Coding(), 1.5 * fast.Coding(), 20 * fast.Coding());
        Assert.True(Times(options with { DenseBits = 3 }).Coding() > fast.Coding());
        Assert.Equal(0, fast.Comparison());
        Assert.True(Times(options with { Compare = true }).Comparison() > 0);
        MachineSpeed slow = Speed with { Targets = 3, Codes = 3, Training = 3 };
        Assert.InRange(Times(options, speed: slow).Coding(), fast.Coding(), 3 * fast.Coding());
    }

    [Theory]
    [InlineData(46_592, 12, 6144)]
    [InlineData(131_072, 144, 2048)]
    [InlineData(512, 6, 2048)]
    [InlineData(131_072, 72, 3640)]
    public void Tokens_ManyCellsAreMeasuredOn_AreFewer(int tokens, int cells, int expected) =>
        Assert.Equal(expected, RunText.MeasuredTokens(new CalibrationWindows(new int[tokens], 64), cells));

    private static CompressionTimes Times(CompressOptions options, int tokens = 4096, MachineSpeed? speed = null)
    {
        using SmallNovelist model = new();
        using ModelFolder folder = ModelFolder.Open(model.Path);
        ModelDescription description = FamilyRegistry.Describe(folder.Config);
        int cells = StackWalk.Cells(description).Count();
        return new CompressionTimes(
            new RunSizes
            {
                Model = description,
                Options = options,
                Text = RunText.Divide(new int[100_000], description, cells, options with { Tokens = tokens }),
                Info = ModelInspector.Inspect(folder, description),
                Threads = 2,
            },
            speed ?? Speed);
    }
}
