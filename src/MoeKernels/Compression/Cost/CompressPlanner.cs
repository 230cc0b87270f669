using System.Diagnostics;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Planning;

namespace MoeKernels.Compression;

/// <summary>Plans a compression.</summary>
internal static class CompressPlanner
{
    /// <summary>Codings that a search for a divergence is planned with.</summary>
    private const int PlannedTrials = 3;

    /// <summary>Starting, compiling and loading the two models that are compared.</summary>
    private const double StartSeconds = 0.5;

    /// <summary>Seconds a byte for writing it to the disk, and for a checksum of it.</summary>
    private const double Writing = 1 / 0.5e9, Hashing = 1 / 1.5e9;

    /// <summary>Plans.</summary>
    /// <param name="folder">The dense model; stays the caller's.</param>
    /// <param name="model">Its description.</param>
    /// <param name="ids">The texts' tokens.</param>
    /// <param name="pool">Threads; stays the caller's.</param>
    /// <param name="options">Settings.</param>
    /// <param name="cancellation">Stops between measurements.</param>
    /// <inheritdoc cref="Compressor.RunAsync" path="/exception"/>
    public static CompressPlan Plan(
        ModelFolder folder, ModelDescription model, int[] ids, WorkerPool pool, CompressOptions options,
        CancellationToken cancellation)
    {
        Cell[] cells = [.. StackWalk.Cells(model)];
        SourceChecks.Check(folder, cells, options);
        RunText text = RunText.Divide(ids, model, cells.Length, options);
        long resident = ProcessMemory.ResidentBytes();
        var sizes = new RunSizes
        {
            Model = model,
            Options = options,
            Text = text,
            Info = ModelInspector.Inspect(folder, model),
            Threads = pool.Threads,
        };
        HardwareInfo hardware = HardwareInfo.Detect();
        int window = text.Calibrated.Length;
        var memory = new CompressionMemory(
            sizes, MemoryPlanner.Plan(sizes.Info, model, hardware, window, window, 1, pool.Threads));
        long start = Stopwatch.GetTimestamp();
        MachineSpeed speed = new SpeedTest(
            new SublayerSource(folder, model), text, pool, options, cancellation).Run();
        return Build(sizes, speed, memory, resident, hardware) with
        {
            TrialSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
        };
    }

    private static CompressPlan Build(
        RunSizes sizes, MachineSpeed speed, CompressionMemory memory, long resident, HardwareInfo hardware)
    {
        var times = new CompressionTimes(sizes, speed);
        int trials = sizes.Options.MaxKl is null ? 1 : PlannedTrials;
        long output = memory.OutputBytes();
        long measuring = memory.Measuring(), coding = memory.Coding();
        long evaluating = memory.Evaluating();
        long mapped = sizes.Info.Bytes + output;
        long needed = resident + Math.Max(Math.Max(measuring, coding), evaluating - mapped);
        long peak = resident + Math.Max(Math.Max(measuring, coding), evaluating);
        return new CompressPlan
        {
            AllocationSeconds = times.Allocation(),
            QuantizingSeconds = trials * times.Coding(),
            EvaluationSeconds = trials * times.Evaluation(),
            ComparisonSeconds = times.Comparison(),
            OtherSeconds = StartSeconds + (sizes.Info.Bytes * speed.Reading)
                + (trials * output * (Writing + (2 * Hashing))),
            MeasuringBytes = measuring == 0 ? 0 : resident + measuring,
            CodingBytes = resident + coding,
            EvaluatingBytes = resident + evaluating,
            PeakBytes = Math.Min(peak, Math.Max(needed, hardware.AvailableMemoryBytes)),
            NeededBytes = needed,
            OutputBytes = output,
            CalibrationTokens = sizes.Tokens,
            Threads = sizes.Threads,
            TrialSeconds = 0,
            Hardware = hardware,
        };
    }
}
