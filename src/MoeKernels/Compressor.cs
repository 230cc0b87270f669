using System.Diagnostics;
using System.Globalization;
using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Models.Families;
using MoeKernels.Planning;

namespace MoeKernels;

/// <summary>Writes compressed copies of models.</summary>
public static partial class Compressor
{
    /// <summary>Sizes that <see cref="CompressOptions.MaxKl"/> tries at most: each is coded and measured.</summary>
    private const int MaxTrials = 5;

    /// <summary>
    /// Compresses the experts of a model: measures on the texts what each layer and kind of matrix is worth, spends the
    /// bits accordingly, and codes layer by layer for the inputs that the compressed model gives and the outputs of the
    /// dense one.
    /// </summary>
    /// <param name="model">Folder of the dense model.</param>
    /// <param name="output">Folder that will appear when everything is written; it must not exist. Until then the files
    /// are in <c>output.partial</c>, and a run that was stopped, in whatever way, goes on there.</param>
    /// <param name="options">Bits, texts and the rest.</param>
    /// <param name="progress">Told the stage, its steps and the time left.</param>
    /// <param name="cancellationToken">Checked between experts and between forward calls.</param>
    /// <returns>What is written as <c>report.md</c>, <c>report.json</c> and two pictures beside the weights.</returns>
    /// <exception cref="ArgumentException">The texts are too short, or a setting is out of range.</exception>
    /// <exception cref="MoeBudgetException">The bits or the divergence cannot be reached.</exception>
    /// <exception cref="MoeFormatException">The model is damaged, or a text cannot be read.</exception>
    /// <exception cref="MoeUnsupportedException">The model has no experts, is compressed already, or needs something
    /// this library does not do.</exception>
    /// <exception cref="MoeException">The output exists, is being written by another process, or cannot be
    /// written.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; another run goes on from there.</exception>
    public static Task<CompressionReport> RunAsync(
        string model,
        string output,
        CompressOptions options,
        IProgress<CompressProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        ArgumentException.ThrowIfNullOrEmpty(output);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        return Task.Run(() => RunCoreAsync(model, output, options, progress, cancellationToken), cancellationToken);
    }

    /// <summary>Compares the files of a compressed folder with the checksums written beside them.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="progress">Told the bytes read.</param>
    /// <param name="cancellationToken">Stops at any time.</param>
    /// <returns>Names of files that differ or are missing; empty when all are as they were written.</returns>
    /// <exception cref="MoeFormatException">The folder has no checksums.</exception>
    public static Task<IReadOnlyList<string>> VerifyAsync(
        string folder, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        return Task.Run(() => Manifest.Verify(folder, progress, cancellationToken), cancellationToken);
    }

    private static async Task<CompressionReport> RunCoreAsync(
        string model, string output, CompressOptions options, IProgress<CompressProgress>? progress,
        CancellationToken cancellation)
    {
        try
        {
            return await RunCheckedAsync(model, output, options, progress, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeException($"{output}: cannot be written: {e.Message}", e);
        }
    }

    private static async Task<CompressionReport> RunCheckedAsync(
        string model, string output, CompressOptions options, IProgress<CompressProgress>? progress,
        CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        using var folder = QmoeFolder.OpenModel(model);
        var description = FamilyRegistry.Describe(folder.Config);
        int[] ids = Encode(model, folder, options.Texts);
        using var partial = PartialFolder.Open(output);
        using var pool = new WorkerPool(options.Threads);
        var run = new CompressionRun(
            folder, description, ids, partial, pool, options, value => progress?.Report(value), cancellation);
        CompressPlan? plan = run.IsFresh
            ? CompressPlanner.Plan(folder, description, ids, pool, options, cancellation)
            : null;
        EvaluationResult result = options.MaxKl is { } most
            ? await SearchAsync(run, model, partial.Path, most, options, cancellation).ConfigureAwait(false)
            : await WriteAsync(run, model, partial.Path, options.Bits, options, cancellation).ConfigureAwait(false);
        IReadOnlyList<ComparisonPoint> comparisons = [];
        if (options.Compare)
        {
            using IDisposable time = run.Times.Measure(Stopwatches.Comparison);
            comparisons = await CompareAsync(
                folder, description, ids, partial.Path, pool, options, value => progress?.Report(value), cancellation)
                .ConfigureAwait(false);
        }

        string[] files = [.. Directory.GetFiles(partial.Path).Select(Path.GetFileName).OfType<string>()
            .Where(PartialFolder.IsModelFile)];
        Manifest.Write(partial.Path, files, options.Method.ToString(), cancellation);
        CompressionReport report = new ReportBuilder(
            run, options, MoeModel.Inspect(model), MoeModel.Inspect(partial.Path))
        {
            Source = model,
            Output = output,
            Result = result,
            Comparisons = comparisons,
            SourceResidentBytes = MoeModel.Plan(model).TotalBytes,
            ResidentBytes = MoeModel.Plan(partial.Path).TotalBytes,
            PeakBytes = ProcessMemory.PeakResidentBytes(),
            Threads = pool.Threads,
            Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds - (plan?.TrialSeconds ?? 0),
            Plan = plan,
        }.Build();
        report.Write(partial.Path);
        partial.Complete();
        return report;
    }

    private static async Task<EvaluationResult> WriteAsync(
        CompressionRun run, string model, string path, double bits, CompressOptions options,
        CancellationToken cancellation)
    {
        run.Allocate(bits);
        run.Code();
        run.WriteRest();
        return await EvaluateAsync(run, model, path, options, cancellation).ConfigureAwait(false);
    }

    /// <summary>The smallest size within a divergence: the allocation's curve says where to look, and what is written
    /// is measured; the curve is then scaled to the measurement. A run that goes on repeats the decisions of the one
    /// before from its measurements.</summary>
    private static async Task<EvaluationResult> SearchAsync(
        CompressionRun run, string model, string path, double most, CompressOptions options,
        CancellationToken cancellation)
    {
        double scale = 1, low = run.FloorBits, high = CompressOptions.MaxBits;
        double? smallest = null;
        run.MeasureCells();
        for (int trial = 1; ; trial++)
        {
            bool last = smallest is not null && (trial > MaxTrials || low >= high);
            double bits = last ? smallest!.Value : Smallest(run, most / scale, low, high);
            EvaluationResult? result = trial <= run.State.Trials.Count ? null : await WriteAsync(
                run, model, path, bits, options, cancellation).ConfigureAwait(false);
            double measured = result?.Kl ?? run.State.Trials[trial - 1];
            bool fits = measured <= most;
            if (fits && result is not null
                && (last || trial >= MaxTrials || measured > 0.85 * most || bits <= run.FloorBits))
            {
                return result;
            }

            if (!fits && (trial > 2 * MaxTrials || bits >= CompressOptions.MaxBits))
                throw new MoeBudgetException(run.DescribeCurve(most, bits, measured));
            if (result is not null)
                run.Reconsider(measured);
            smallest = fits ? bits : smallest;
            (low, high) = fits ? (low, bits) : (Math.Min(bits * 1.01, CompressOptions.MaxBits), high);
            scale = measured / Math.Max(run.Predict(bits), 1e-9);
        }
    }

    private static double Smallest(CompressionRun run, double most, double low, double high)
    {
        if (run.Predict(low) <= most)
            return low;
        for (int i = 0; i < 20; i++)
        {
            double middle = (low + high) / 2;
            (low, high) = run.Predict(middle) <= most ? (low, middle) : (middle, high);
        }

        return high;
    }

    private static async Task<EvaluationResult> EvaluateAsync(
        CompressionRun run, string model, string path, CompressOptions options, CancellationToken cancellation)
    {
        using var time = run.Times.Measure(Stopwatches.Evaluation);
        run.Report(Stopwatches.Evaluation, 0, 1);
        var load = new MoeLoadOptions { Threads = options.Threads, ReadAhead = false };
        using var dense = await MoeModel.LoadAsync(model, load, null, cancellation).ConfigureAwait(false);
        using var coded = await MoeModel.LoadAsync(path, load, null, cancellation).ConfigureAwait(false);
        var evaluation = new EvaluationOptions
        {
            Window = run.Text.Measured.Length, MaxWindows = RunText.EvaluatedWindows, WindowsPerCall = 1,
        };
        return coded.Evaluate(run.Text.Evaluated, evaluation, dense, null, cancellation);
    }

    private static int[] Encode(string model, ModelFolder folder, IReadOnlyList<string> texts)
    {
        ModelParts parts = ModelParts.Read(model, folder);
        var tokenizer = parts.Tokenizer
            ?? throw new MoeUnsupportedException("compressing a model without a tokenizer.json", model);
        IEnumerable<int> separator = parts.Defaults.EndOfSequence.Take(1);
        return [.. texts.SelectMany(
            text => tokenizer.Encode(text, addSpecialTokens: false).Ids.Concat(separator))];
    }
}
