using System.Globalization;
using System.Text;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>Compresses one model into a partial folder: measures, allocates, codes layer by layer, writes the
/// rest.</summary>
internal sealed class CompressionRun
{
    private readonly ModelFolder _folder;
    private readonly ModelDescription _model;
    private readonly CompressOptions _options;
    private readonly PartialFolder _partial;
    private readonly WorkerPool _pool;
    private readonly SublayerSource _source;
    private readonly Action<CompressProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly int _total;
    private int _coded;

    /// <summary>Prepares a run.</summary>
    /// <param name="folder">The dense model; stays the caller's.</param>
    /// <param name="model">Its description.</param>
    /// <param name="ids">The texts' tokens; the last twentieth is for measuring.</param>
    /// <param name="partial">Where to write; stays the caller's.</param>
    /// <param name="pool">Threads; stays the caller's.</param>
    /// <param name="options">Settings.</param>
    /// <param name="progress">Told what is done.</param>
    /// <param name="cancellation">Stops at any time; what is complete stays and is used by the next run.</param>
    /// <exception cref="ArgumentException">The texts are too short, or a setting is out of range.</exception>
    /// <exception cref="MoeUnsupportedException">The model has no experts, or is compressed already.</exception>
    /// <exception cref="MoeBudgetException">The bits are below the floor of the model's shapes.</exception>
    public CompressionRun(
        ModelFolder folder, ModelDescription model, int[] ids, PartialFolder partial, WorkerPool pool,
        CompressOptions options, Action<CompressProgress>? progress, CancellationToken cancellation)
    {
        (_folder, _model, _options, _partial, _pool) = (folder, model, options, partial, pool);
        (_progress, _cancellation) = (progress, cancellation);
        Cells = [.. StackWalk.Cells(model)];
        SourceChecks.Check(folder, Cells, options);
        _source = new SublayerSource(folder, model);
        Text = RunText.Divide(ids, model, Cells.Count, options);
        _total = options.DenseBits is null
            ? model.Stacks.SelectMany(StackWalk.SparseLayers).Count()
            : model.Stacks.Sum(stack => stack.Blocks.Sum(block => block.Sublayers.Length));
        State = Restore();
    }

    /// <summary>The cells of the model, encoder first.</summary>
    public IReadOnlyList<Cell> Cells { get; }

    /// <summary>How the texts are divided.</summary>
    public RunText Text { get; }

    /// <summary>What has been decided.</summary>
    public CompressionState State { get; private set; }

    /// <summary>Whether nothing was taken over from a run that was stopped.</summary>
    public bool IsFresh => State.Losses.Count + State.Files.Count == 0;

    /// <summary>Seconds by stage.</summary>
    public Stopwatches Times { get; } = new();

    /// <summary>What every coded layer says about its calibration, in order.</summary>
    public List<LayerFile> Layers { get; } = [];

    /// <summary>Names of the source's tensors that coded stacks replace.</summary>
    public HashSet<string> Replaced { get; } = new(StringComparer.Ordinal);

    /// <summary>Weights of all experts.</summary>
    public long ExpertWeights => Cells.Sum(cell => cell.Weights);

    /// <summary>Fewest bits per expert weight that the model's shapes allow.</summary>
    public double FloorBits => SourceChecks.FloorBits(Cells);

    /// <summary>Losses of all cells.</summary>
    public IReadOnlyList<CellCurve> Curves =>
        [.. Cells.Select(cell => new CellCurve(cell, State.Losses[cell.Stack]))];

    /// <summary>Measures the cells, unless that was done.</summary>
    public void MeasureCells()
    {
        if (State.Losses.Count == Cells.Count)
            return;
        Save(State with { Losses = Measure().ToDictionary(curve => curve.Cell.Stack, curve => curve.Losses) });
    }

    /// <summary>Measures the cells and chooses for a budget, unless that was done or the method has none.</summary>
    public void Allocate(double bits)
    {
        if (!_options.Method.HasBudget)
        {
            Save(State);
            return;
        }

        MeasureCells();
        if (State.Choices.Count == Cells.Count)
            return;
        int[] chosen = Choose(bits);
        Save(State with
        {
            Choices = Enumerable.Range(0, chosen.Length).ToDictionary(
                i => Cells[i].Stack, i => CodeOption.All[chosen[i]]),
        });
    }

    /// <summary>Chooses one option for all cells, without measuring.</summary>
    public void Allocate(CodeOption option) => State = State with
    {
        Losses = Cells.Select(UniformCurve).ToDictionary(curve => curve.Cell.Stack, curve => curve.Losses),
        Choices = Cells.ToDictionary(cell => cell.Stack, _ => option),
    };

    /// <summary>The best options for a budget, by index.</summary>
    public int[] Choose(double bits) => Knapsack.Choose(Curves, (long)(bits * ExpertWeights / 8));

    /// <summary>The sum of the cells' losses with the best options for a budget.</summary>
    public double Predict(double bits)
    {
        int[] chosen = Choose(Math.Max(bits, FloorBits));
        return Curves.Select((curve, i) => curve.Losses[chosen[i]]).Sum();
    }

    /// <summary>Says that a divergence cannot be had, with the curve.</summary>
    public string DescribeCurve(double wanted, double bits, double measured)
    {
        CultureInfo invariant = CultureInfo.InvariantCulture;
        var text = new StringBuilder();
        text.Append(
            invariant, $"no size up to {CompressOptions.MaxBits} bits keeps the divergence within {wanted}: ");
        text.Append(invariant, $"{bits:F2} bits measured {measured:G4}; predicted by bits:");
        foreach (double step in (double[])[FloorBits, 0.8, 1, 1.5, 2, 3, 4])
            text.Append(invariant, $" {step:G3}: {Predict(step):G3},");
        return text.ToString().TrimEnd(',');
    }

    /// <summary>Forgets choices and coded layers, but not the measurements: for another budget.</summary>
    /// <param name="measured">Divergence of what was coded, kept for a run that goes on; null where none does.</param>
    public void Reconsider(double? measured = null)
    {
        Save(State with
        {
            Choices = new Dictionary<string, CodeOption>(),
            Files = new Dictionary<string, string>(),
            Trials = measured is { } trial ? [.. State.Trials, trial] : State.Trials,
        });
        foreach (string file in Directory.GetFiles(_partial.Path, "*.safetensors"))
            File.Delete(file);
    }

    /// <summary>Codes every layer that is not on disk yet.</summary>
    public void Code()
    {
        using IDisposable time = Times.Measure(Stopwatches.Coding);
        LinearCoder? linears = _options.DenseBits is { } bits
            ? new LinearCoder(bits, _pool.Threads, _cancellation)
            : null;
        using var edges = linears is null ? null : new EdgeCoder(_source, linears, this, _cancellation);
        using ReplacedMatrices? embedding = edges?.Embeddings();
        var coder = new LayerCoder(this, Experts(), linears, _cancellation);
        _coded = 0;
        Layers.Clear();
        StreamPair? encoded = null;
        try
        {
            foreach (StackSpec spec in _model.Stacks)
            {
                using WindowRunner runner = StackRunners.Of(_model, spec, Text.Calibrated, _pool, _cancellation);
                var walk = new StackWalk(_source, spec, runner)
                {
                    Coder = coder,
                    Embedding = embedding,
                    Sources = encoded is null
                        ? null
                        : (new(encoded.Dense, Text.Calibrated.Length), new(encoded.Coded, Text.Calibrated.Length)),
                };
                StreamPair streams = walk.Run();
                encoded?.Dispose();
                encoded = streams;
            }

            edges?.Head(encoded!.Coded);
        }
        finally
        {
            encoded?.Dispose();
        }
    }

    /// <summary>Writes what was not coded, the index and the files beside the weights.</summary>
    public void WriteRest()
    {
        using IDisposable time = Times.Measure(Stopwatches.Writing);
        Report(Stopwatches.Writing, 0, 1);
        RestWriter.Save(_folder.Checkpoint, _partial[RestWriter.FileName], Replaced, _cancellation);
        RestWriter.SaveIndex(_partial.Path);
        RestWriter.CopyCompanions(_folder.Path, _partial.Path);
        _source.ReleasePages();
    }

    /// <summary>The way the matrices of a cell are coded.</summary>
    public CodeOption Choice(Cell cell) => State.Choices[cell.Stack];

    /// <summary>Path of the file of a coded layer.</summary>
    public string LayerPath(int index) => _partial[LayerFile.Name(index)];

    /// <summary>Path of another file of coded matrices.</summary>
    public string FilePath(string name) => _partial[name];

    /// <summary>Whether a file was coded by this run or the one it goes on from, and is as it was written.</summary>
    public bool IsCoded(string path) => File.Exists(path)
        && State.Files.TryGetValue(Path.GetFileName(path), out string? hash)
        && FileHash.Of(path, null, _cancellation) == hash;

    /// <summary>Remembers a coded file, for a run that goes on.</summary>
    public void KeepCoded(string path) => Save(State with
    {
        Files = new Dictionary<string, string>(State.Files)
        {
            [Path.GetFileName(path)] = FileHash.Of(path, null, _cancellation),
        },
    });

    /// <summary>Tells that another layer is coded.</summary>
    public void ReportCoded() => Report(Stopwatches.Coding, ++_coded, _total);

    /// <summary>Tells how far a stage is.</summary>
    public void Report(string stage, int done, int total) =>
        _progress?.Invoke(new CompressProgress(stage, done, total, Times.Left(stage, done, total)));

    private IExpertCoder Experts()
    {
        (CompressMethod method, int threads) = (_options.Method, _pool.Threads);
        if (method.HasBudget)
            return new CodebookExpertCoder(Choice, threads, _cancellation);
        return method.IntegerBits is { } bits
            ? new IntegerExpertCoder(bits, method.RoundsPlainly, threads, _cancellation)
            : new TernaryExpertCoder(method.RoundsPlainly, threads, _cancellation);
    }

    /// <summary>Losses by measurement, or by the codes' rate alone.</summary>
    private IReadOnlyList<CellCurve> Measure()
    {
        if (_options.Allocation == AllocationMode.Uniform)
            return [.. Cells.Select(UniformCurve)];
        using IDisposable time = Times.Measure(Stopwatches.Allocation);
        CalibrationWindows half = Text.Calibrated.Sample(Math.Max(Text.Calibrated.Count / 2, 1));
        using var probed = new StackRunners(_model, half, _pool, _cancellation);
        using var measured = new StackRunners(_model, Text.Measured, _pool, _cancellation);
        using var meter = new DivergenceMeter(_source, measured);
        return new Sensitivity(_source, probed, meter, _pool.Threads, _cancellation)
        {
            Full = _options.Allocation == AllocationMode.Full,
            Progress = (done, total) => Report(Stopwatches.Allocation, done, total),
        }.Run();
    }

    /// <summary>A bit fewer costs four times the loss: the mean square error of codes at any but the lowest
    /// rates.</summary>
    private static CellCurve UniformCurve(Cell cell) =>
        new(cell, [.. CodeOption.All.Select(option => Math.Pow(4, -cell.Bits(option)) * cell.Weights)]);

    private CompressionState Restore()
    {
        string key = StateKey.Of(_folder, Text, _options);
        CompressionState? kept = _options.Resume ? CompressionState.Read(_partial.StatePath, key, Cells) : null;
        if (kept is not null)
            return kept;
        _partial.Clear();
        return new CompressionState(key);
    }

    private void Save(CompressionState state)
    {
        State = state;
        state.Write(_partial.StatePath);
    }
}
