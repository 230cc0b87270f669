using System.Globalization;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Packed;
using MoeKernels.Planning;

namespace MoeKernels.Compression;

/// <summary>Collects a run's report.</summary>
/// <param name="run">The run.</param>
/// <param name="options">Its settings.</param>
/// <param name="dense">The source.</param>
/// <param name="coded">The finished files.</param>
internal sealed class ReportBuilder(CompressionRun run, CompressOptions options, ModelInfo dense, ModelInfo coded)
{
    /// <summary>Budgets at which the curve is shown.</summary>
    private static readonly double[] CurveBits =
        [0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4];

    public required string Source { get; init; }

    public required string Output { get; init; }

    public required EvaluationResult Result { get; init; }

    public IReadOnlyList<ComparisonPoint> Comparisons { get; init; } = [];

    public required long SourceResidentBytes { get; init; }

    public required long ResidentBytes { get; init; }

    public required long PeakBytes { get; init; }

    public required int Threads { get; init; }

    /// <summary>Seconds of the run, planning not counted.</summary>
    public required double Seconds { get; init; }

    /// <summary>What was predicted; null for a run that went on.</summary>
    public required CompressPlan? Plan { get; init; }

    /// <summary>The report.</summary>
    public CompressionReport Build() => new()
    {
        Source = Source,
        Output = Output,
        Family = dense.Family,
        Method = options.Method.Name,
        Settings = [.. Settings()],
        Sizes = Sizes(),
        Quality = [new ReportQuality("the end of the calibration text, not calibrated with", Result)],
        Cost = new CompressionCost
        {
            QuantizingSeconds = run.Times.Seconds(Stopwatches.Coding),
            AllocationSeconds = run.Times.Seconds(Stopwatches.Allocation),
            EvaluationSeconds = run.Times.Seconds(Stopwatches.Evaluation),
            ComparisonSeconds = run.Times.Seconds(Stopwatches.Comparison),
            OtherSeconds = Math.Max(Seconds - run.Times.TotalSeconds, 0) + run.Times.Seconds(Stopwatches.Writing),
            PlannedSeconds = Plan?.TotalSeconds,
            PlannedPeakBytes = Plan?.PeakBytes,
            PeakBytes = PeakBytes,
            Threads = Threads,
        },
        Cells = [.. ExpertCells(), .. OtherCells()],
        Coverage = [.. run.Layers.Select((layer, i) => new ExpertCoverage(SparseBlock(i), layer.Tokens))],
        Curve = [.. Curve()],
        Comparisons = Comparisons,
        Notes = [.. Notes(), .. Unfactored()],
    };

    private long ExpertBytes => run.Cells.Sum(cell => Stored(cell).Bytes);

    private bool Predicted => options.Method.HasBudget && options.Allocation != AllocationMode.Uniform;

    private IEnumerable<ReportSetting> Settings()
    {
        yield return new ReportSetting("method", options.Method.ToString());
        bool asked = options.Method.HasBudget && options.MaxKl is null;
        yield return Setting("bits", asked ? options.Bits : 8.0 * ExpertBytes / run.ExpertWeights);
        if (options.MaxKl is { } kl)
            yield return Setting("max-kl", kl);
        if (options.DenseBits is { } denseBits)
            yield return Setting("dense-bits", denseBits);
        if (options.Method.HasBudget)
            yield return new ReportSetting("allocation", options.Allocation.ToString().ToLowerInvariant());
        yield return Setting("calibration tokens", run.Text.Calibrated.Tokens.Length);
        yield return Setting("window", run.Text.Calibrated.Length);
    }

    private CompressedSizes Sizes()
    {
        long experts = dense.Parts.Where(part => part.Role == WeightRole.RoutedExperts).Sum(part => part.Bytes);
        return new CompressedSizes
        {
            ExpertWeights = run.ExpertWeights,
            ExpertBytes = ExpertBytes,
            Parameters = dense.Parameters,
            WeightBytes = coded.Bytes,
            SourceExpertBytes = experts,
            SourceWeightBytes = dense.Bytes,
            DiskBytes = Directory.GetFiles(coded.Path).Sum(file => new FileInfo(file).Length),
            ResidentBytes = ResidentBytes,
            SourceResidentBytes = SourceResidentBytes,
        };
    }

    private IEnumerable<CompressedCell> ExpertCells()
    {
        for (int i = 0; i < run.Cells.Count; i++)
        {
            Cell cell = run.Cells[i];
            CodedStack stored = Stored(cell);
            int layer = run.Cells.Take(i + 1).Select(other => other.Layer).Distinct().Count() - 1;
            yield return new CompressedCell(cell.Layer, cell.Kind, stored.Encoding, cell.Weights, stored.Bytes)
            {
                Dimension = stored.Dimension > 0 ? stored.Dimension : null,
                Stages = stored.Stages > 0 ? stored.Stages : null,
                Routed = true,
                Kl = Predicted ? Loss(cell) : null,
                LayerError = run.Layers[layer].Errors.TryGetValue(cell.Kind, out double error) ? error : null,
            };
        }
    }

    /// <summary>Coded and kept weights of every role but the routed experts'.</summary>
    private IEnumerable<CompressedCell> OtherCells()
    {
        foreach (ModelPart part in dense.Parts)
        {
            if (part.Role is WeightRole.RoutedExperts or WeightRole.Unused)
                continue;
            long weights = dense.Tensors.Where(tensor => tensor.Role == part.Role && run.Replaced.Contains(tensor.Name))
                .Sum(tensor => tensor.Shape.Aggregate(1L, (product, extent) => product * extent));
            long bytes = coded.Tensors.Where(tensor => tensor.Role == part.Role
                && CodebookTensors.Suffixes.Any(suffix => tensor.Name.EndsWith(suffix, StringComparison.Ordinal)))
                .Sum(tensor => tensor.Bytes);
            long all = coded.Parts.Where(other => other.Role == part.Role).Sum(other => other.Bytes);
            string kind = part.Role.ToString().ToLowerInvariant();
            if (weights > 0)
                yield return new CompressedCell(-1, kind, "codebook", weights, bytes);
            if (weights < part.Parameters)
                yield return new CompressedCell(-1, kind, "kept", part.Parameters - weights, all - bytes);
        }
    }

    private IEnumerable<AllocationPoint> Curve()
    {
        if (!Predicted)
            yield break;
        double chosen = 8.0 * ExpertBytes / run.ExpertWeights;
        double chosenLoss = run.Cells.Sum(Loss);
        foreach (double bits in CurveBits.Prepend(run.FloorBits).Where(bits => bits >= run.FloorBits).Order())
            yield return new AllocationPoint(bits, run.Predict(bits), null);
        yield return new AllocationPoint(chosen, chosenLoss, Result.Kl, Chosen: true);
    }

    private IEnumerable<string> Notes()
    {
        if (dense.IsEncoderDecoder)
            yield return "An encoder-decoder is measured on windows of text that it reads and writes again.";
    }

    /// <summary>What the methods without a budget could not do as they should.</summary>
    private IEnumerable<string> Unfactored() => run.Layers
        .Select((layer, i) => (Block: SparseBlock(i), Matrices: layer.Unfactored)).Where(layer => layer.Matrices > 0)
        .Select(layer => string.Create(
            CultureInfo.InvariantCulture,
            $"Layer {layer.Block}: {layer.Matrices} matrices were rounded to the nearest levels, because the "
                + $"moments of their inputs have no factor."));

    private CodedStack Stored(Cell cell) => coded.Coded.First(stack => stack.Name == cell.Stack);

    private double Loss(Cell cell) =>
        run.State.Losses[cell.Stack][CodeOption.All.ToList().IndexOf(run.Choice(cell))];

    private int SparseBlock(int index) => run.Cells.Select(cell => cell.Layer).Distinct().ElementAt(index);

    private static ReportSetting Setting(string name, double value) =>
        new(name, value.ToString("G6", CultureInfo.InvariantCulture));
}
