using System.Globalization;
using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Models.Families;

namespace MoeKernels.Benchmarks.Quality;

/// <summary><c>quality MODEL --books FOLDER</c>: what bits cost on a trained model. Calibrates on every text of the
/// folder but those named, measures the cells once, and compresses and evaluates the model for one budget after the
/// other.</summary>
internal sealed class QualityRun : IDisposable
{
    public const string Verb = "quality";

    private const int DivergenceWindow = 512, DivergenceTokens = 96 * DivergenceWindow;

    private static readonly double[] AllBits = [0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 2.5, 3];
    private readonly QualityOptions _options;
    private readonly ModelFolder _folder;
    private readonly PartialFolder _partial;
    private readonly WorkerPool _pool = new();
    private readonly CompressionRun _run;
    private readonly int[] _validation, _test;
    private readonly MoeModel _dense;
    private readonly double _denseValidation, _denseTest;

    private QualityRun(QualityOptions options)
    {
        _options = options;
        _folder = ModelFolder.Open(options.Model);
        string work = Path.Combine(Path.GetTempPath(), $"moek-quality-{Environment.ProcessId}");
        _partial = PartialFolder.Open(work);
        _validation = Encode(options.Validation);
        _test = Encode(options.Test);
        _dense = MoeModel.LoadAsync(options.Model, new() { ReadAhead = false }).GetAwaiter().GetResult();
        (_denseValidation, _denseTest) = (Score(_dense, _validation, null).Nll, Score(_dense, _test, null).Nll);
        string[] held = [.. options.Validation, .. options.Test];
        string[] training = [.. Directory.GetFiles(options.Books, "*.txt").Where(file => !held.Contains(file))
            .Order(StringComparer.Ordinal)];
        CompressOptions settings = new()
        {
            Texts = ["books"], MaxKl = 1, Tokens = options.Tokens, Allocation = options.Allocation,
        };
        _run = new CompressionRun(
            _folder, FamilyRegistry.Describe(_folder.Config), Encode(training), _partial, _pool, settings,
            step => Console.Error.Write($"\r{step.Stage} {step.Done} of {step.Total}   "), default);
    }

    /// <summary>Runs the command line; returns its exit code.</summary>
    public static int Start(string[] arguments)
    {
        if (QualityOptions.Parse(arguments) is not { } options)
        {
            Console.Error.WriteLine(QualityOptions.Usage);
            return 2;
        }

        using QualityRun run = new(options);
        string table = run.Table();
        Console.WriteLine(table);
        if (options.Output is { } path)
            File.WriteAllText(path, table);
        return 0;
    }

    public void Dispose()
    {
        _dense.Dispose();
        _folder.Dispose();
        _pool.Dispose();
        _partial.Dispose();
        Directory.Delete(_partial.Path, recursive: true);
    }

    private string Table()
    {
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(_options.Model));
        var lines = new List<string>
        {
            $"# What bits cost: {name}",
            string.Empty,
            string.Create(
                CultureInfo.InvariantCulture,
                $"Calibration: {_run.Text.Calibrated.Count} windows of {_run.Text.Calibrated.Length} tokens, "
                    + $"allocation {_options.Allocation}. Loss above dense ({_denseValidation:F4} validation, "
                    + $"{_denseTest:F4} test) in nats per token over all windows of the books; KL on 96 windows; "
                    + $"bits per expert weight, all metadata counted. "
                    + $"Reference: the laboratory's figures (96 windows, 65 thousand tokens)."),
            string.Empty,
            "| bits | loss, validation | reference | reached | KL, validation | loss, test | coded as |",
            "| ---: | ---: | ---: | --- | ---: | ---: | --- |",
        };
        foreach (double bits in _options.Bits ?? AllBits)
        {
            lines.Add(Row(name, bits));
            Console.Error.WriteLine($"\r{lines[^1]}");
        }

        int budgets = (_options.Bits ?? AllBits).Length;
        lines.Add(string.Empty);
        lines.Add(string.Create(
            CultureInfo.InvariantCulture,
            $"Measuring the cells took {_run.Times.Seconds(Stopwatches.Allocation):F0} s, coding "
                + $"{_run.Times.Seconds(Stopwatches.Coding) / budgets:F0} s a budget, on {_pool.Threads} threads."));
        return string.Join('\n', lines) + "\n";
    }

    private string Row(string name, double bits)
    {
        if (_run.State.Choices.Count > 0)
            _run.Reconsider();
        _run.Allocate(bits);
        _run.Code();
        _run.WriteRest();
        using MoeModel coded = MoeModel.LoadAsync(_partial.Path, new() { ReadAhead = false }).GetAwaiter().GetResult();
        double loss = Score(coded, _validation, null).Nll - _denseValidation;
        double testLoss = Score(coded, _test, null).Nll - _denseTest;
        double kl = Score(coded, Spread(_validation), _dense).Kl!.Value;
        double actual = 8.0 * _run.Cells.Sum(cell => cell.Bytes(_run.Choice(cell))) / _run.ExpertWeights;
        double? reference = QualityReference.Loss(name, bits);
        string reached = reference is null ? "-" : QualityReference.Reached(loss, reference.Value) ? "yes" : "no";
        string choices = string.Join(' ', _run.Cells.Select(_run.Choice));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {actual:F3} | {loss:+0.0000;-0.0000} | {reference:F4} | {reached} | {kl:F4} | "
                + $"{testLoss:+0.0000;-0.0000} | {choices} |");
    }

    private EvaluationResult Score(MoeModel model, int[] ids, MoeModel? reference) => model.Evaluate(
        ids, new EvaluationOptions { WindowsPerCall = 2, MaxWindows = _options.Windows }, reference, null, default);

    /// <summary>Windows spread over a text: divergences need the dense model too, and vary less than losses.</summary>
    private static int[] Spread(int[] ids)
    {
        CalibrationWindows windows = CalibrationWindows.Spread(ids, DivergenceWindow, DivergenceTokens);
        return [.. windows.Tokens, ids[0]];
    }

    private int[] Encode(IEnumerable<string> files)
    {
        var tokenizer = Text.Tokenizer.Load(_options.Model);
        return [.. files.SelectMany(
            file => tokenizer.Encode(File.ReadAllText(file), addSpecialTokens: false).Ids.Append(0))];
    }
}
