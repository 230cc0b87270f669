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

    private static readonly double[] AllBits = [0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 2.5, 3];
    private readonly QualityOptions _options;
    private readonly ModelFolder _folder;
    private readonly PartialFolder _partial;
    private readonly WorkerPool _pool = new();
    private readonly CompressionRun _run;
    private readonly int[] _validation, _test;

    private QualityRun(QualityOptions options)
    {
        _options = options;
        _folder = ModelFolder.Open(options.Model);
        string work = Path.Combine(Path.GetTempPath(), $"moek-quality-{Environment.ProcessId}");
        _partial = PartialFolder.Open(work);
        _validation = Encode(options.Validation);
        _test = Encode(options.Test);
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
            $"Calibration: {_run.Windows.Count} windows of {_run.Windows.Length} tokens, allocation "
                + $"{_options.Allocation}. Loss above dense in nats per token, all windows of the books; bits per expert "
                + "weight, all metadata counted. Reference: the laboratory's figures (96 windows, 65 thousand tokens).",
            string.Empty,
            "| bits | loss, validation | reference | reached | KL, validation | loss, test | KL, test | coded as |",
            "| ---: | ---: | ---: | --- | ---: | ---: | ---: | --- |",
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
        var load = new MoeLoadOptions { ReadAhead = false };
        using MoeModel dense = MoeModel.LoadAsync(_options.Model, load).GetAwaiter().GetResult();
        using MoeModel coded = MoeModel.LoadAsync(_partial.Path, load).GetAwaiter().GetResult();
        EvaluationResult validation = Evaluate(_validation), test = Evaluate(_test);
        double actual = 8.0 * _run.Cells.Sum(cell => cell.Bytes(_run.Choice(cell))) / _run.ExpertWeights;
        double loss = validation.Nll - validation.ReferenceNll!.Value;
        double? reference = QualityReference.Loss(name, bits);
        string reached = reference is null ? "-" : QualityReference.Reached(loss, reference.Value) ? "yes" : "no";
        string choices = string.Join(' ', _run.Cells.Select(_run.Choice));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {actual:F3} | +{loss:F4} | {reference:F4} | {reached} | {validation.Kl:F4} | "
                + $"+{test.Nll - test.ReferenceNll!.Value:F4} | {test.Kl:F4} | {choices} |");

        EvaluationResult Evaluate(int[] ids) => coded.Evaluate(
            ids, new EvaluationOptions { WindowsPerCall = 2, MaxWindows = _options.Windows }, dense, null, default);
    }

    private int[] Encode(IEnumerable<string> files)
    {
        var tokenizer = Text.Tokenizer.Load(_options.Model);
        return [.. files.SelectMany(
            file => tokenizer.Encode(File.ReadAllText(file), addSpecialTokens: false).Ids.Append(0))];
    }
}
