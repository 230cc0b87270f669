using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using MoeKernels.Cli.Output;
using MoeKernels.Compression;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe compress [model] OUT --bits B --calib FILE...</c>: a compressed copy with a report.</summary>
internal static class CompressCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "Folder of the dense model" };
        var output = new Argument<string>("output") { Description = "Folder to write; must not exist" };
        var method = new Option<CompressMethod>("--method")
        {
            Description = "codebook, or without a budget qmoe, int:2, int:3, int:4; default: codebook",
            CustomParser = ParseMethod,
        };
        var bits = NumberOptions.Real(
            "--bits", "Average bits per expert weight; default: 1", 0, (float)CompressOptions.MaxBits);
        var denseBits = NumberOptions.Real(
            "--dense-bits", "Bits per weight of all other linear matrices; default: they are kept", 0.5f,
            (float)CompressOptions.MaxBits);
        var maxKl = NumberOptions.Real(
            "--max-kl", "Instead of --bits: the smallest size within this divergence, in nats");
        var texts = new Option<string[]>("--calib")
        {
            Description = "Text files to calibrate with; default: the small book that comes with moe",
            AllowMultipleArgumentsPerToken = true,
        };
        var tokens = NumberOptions.Integer("--tokens", "Calibration tokens; default: 131072", min: 1);
        var window = NumberOptions.Integer("--window", "Tokens per window; default: 512", min: 2);
        var allocation = new Option<AllocationMode>("--allocation")
        {
            Description = "How bits are spread; default: fast",
        };
        var compare = new Option<bool>("--compare")
        {
            Description = "Also measure QMoE's method and plain rounding for the report; takes several times as long",
        };
        var restart = new Option<bool>("--restart") { Description = "Start again where an earlier run was stopped" };
        var threads = ModelArguments.Threads();
        var command = new Command("compress", "Write a compressed copy and a report")
        {
            model, output, method, bits, denseBits, maxKl, texts, tokens, window, allocation, compare, restart, threads,
        };
        command.Validators.Add(result =>
        {
            if (!result.GetValue(method).HasBudget && (Given(result, bits) || Given(result, maxKl)))
                result.AddError($"--method {result.GetValue(method)} spends no budget: leave --bits and --max-kl out.");
        });
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            var options = new CompressOptions
            {
                Method = parsed.GetValue(method),
                Texts = await ReadAsync(parsed.GetValue(texts) ?? [], cancellation),
                DenseBits = Exact(parsed.GetValue(denseBits)),
                MaxKl = Exact(parsed.GetValue(maxKl)),
                Allocation = parsed.GetValue(allocation),
                Compare = parsed.GetValue(compare),
                Resume = !parsed.GetValue(restart),
                Threads = parsed.GetValue(threads) ?? 0,
            };
            options = options with
            {
                Bits = Exact(parsed.GetValue(bits)) ?? options.Bits,
                Tokens = parsed.GetValue(tokens) ?? options.Tokens,
                Window = parsed.GetValue(window) ?? options.Window,
            };
            var progress = new LineProgress<CompressProgress>(terminal, Describe);
            var report = await Compressor.RunAsync(
                parsed.GetValue(model)!, parsed.GetValue(output)!, options, progress, cancellation);
            terminal.EndProgress();
            Write(terminal, report);
            return ExitCodes.Done;
        });
        return command;
    }

    private static bool Given(CommandResult result, Option option) =>
        result.GetResult(option) is { Implicit: false };

    private static CompressMethod ParseMethod(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (!CompressMethod.TryParse(text, out CompressMethod method))
            result.AddError($"--method takes codebook, qmoe, int:2, int:3 or int:4, not '{text}'.");
        return method;
    }

    /// <summary>The number as it was typed: 0.9 is not the single nearest to it.</summary>
    private static double? Exact(float? value) => value is { } number
        ? double.Parse(number.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
        : null;

    private static string Describe(CompressProgress step)
    {
        string left = step.Left is { } time ? $", about {Units.Fixed(time.TotalSeconds, 0)} s left" : string.Empty;
        return $"{step.Stage}: {step.Done} of {step.Total}{left}";
    }

    private static async Task<string[]> ReadAsync(string[] files, CancellationToken cancellation)
    {
        string[] paths = files.Length == 0
            ? [SampleData.Book]
            : [.. files.OrderBy(file => Path.GetFileName(file), StringComparer.Ordinal)];
        return await Task.WhenAll(paths.Select(path => InputText.ReadFileAsync(path, cancellation)));
    }

    private static void Write(Terminal terminal, CompressionReport report)
    {
        if (terminal.Json)
        {
            terminal.WriteLine(report.ToJson());
            return;
        }

        terminal.WriteLine(report.ToMarkdown());
    }
}
