using System.CommandLine;
using System.Globalization;
using MoeKernels.Cli.Output;
using MoeKernels.Measuring;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe bench kernel</c> and <c>moe bench model</c>: speed on this machine, as a table to show.</summary>
internal static class BenchCommand
{
    public const string Schema = "moe.bench/1";

    public static Command Create() => new("bench", "Measure kernels or a model on this machine")
    {
        CreateKernel(),
        CreateModel(),
    };

    private static Command CreateKernel()
    {
        var layout = new Option<string>("--layout")
        {
            Description = KernelLayout.Known,
            DefaultValueFactory = _ => "codebook:8",
        };
        var shape = new Option<string>("--shape")
        {
            Description = "Outputs x inputs of a matrix",
            DefaultValueFactory = _ => "768x2048",
        };
        var tokens = NumberOptions.Integer("--tokens", "Tokens multiplied at once; default: 1", 1, 1 << 16);
        var share = NumberOptions.Integer(
            "--share", "Matrices that share an input, as the experts of a layer do; default: 1", 1, 1 << 12);
        var rotate = NumberOptions.Integer(
            "--rotate-mib", "MiB of matrices used in turn, 0: one in the cache; default: 272", 0, 1 << 24);
        var rounds = Rounds();
        var threads = ModelArguments.Threads();
        var command = new Command("kernel", "Time a product with random weights beside a plain read of them")
        {
            layout, shape, tokens, threads, share, rotate, rounds,
        };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            var (rows, columns) = ParseShape(parsed.GetValue(shape)!);
            var options = new KernelBenchmarkOptions
            {
                Layout = KernelLayout.Parse(parsed.GetValue(layout)!),
                Rows = rows,
                Columns = columns,
                Tokens = parsed.GetValue(tokens) ?? 1,
                Threads = parsed.GetValue(threads) ?? 0,
                Share = parsed.GetValue(share) ?? 1,
            };
            options = options with
            {
                RotateBytes = parsed.GetValue(rotate) is { } mib ? (long)mib << 20 : options.RotateBytes,
                Rounds = parsed.GetValue(rounds) ?? options.Rounds,
            };
            var result = await MoeBenchmark.KernelAsync(options, Progress(terminal), cancellation);
            terminal.EndProgress();
            BenchOutput.Write(terminal, result);
            return ExitCodes.Done;
        });
        return command;
    }

    private static Command CreateModel()
    {
        var model = ModelArguments.OptionalModel();
        var prompts = new Option<int[]>("--prompt-tokens")
        {
            Description = "Lengths of prompts; default: 32, 128 and 512",
            AllowMultipleArgumentsPerToken = true,
        };
        var decode = NumberOptions.Integer("--decode-tokens", "Tokens decoded behind each prompt; default: 32", 1);
        var rounds = Rounds();
        var threads = ModelArguments.Threads();
        var command = new Command("model", "Measure prefill, decode, loading and memory of a model")
        {
            model, prompts, decode, threads, rounds,
        };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            int[]? lengths = parsed.GetValue(prompts);
            var options = new ModelBenchmarkOptions
            {
                PromptTokens = lengths is { Length: > 0 } ? lengths : null,
                Threads = parsed.GetValue(threads) ?? 0,
            };
            options = options with
            {
                DecodeTokens = parsed.GetValue(decode) ?? options.DecodeTokens,
                Rounds = parsed.GetValue(rounds) ?? options.Rounds,
            };
            var result = await MoeBenchmark.ModelAsync(
                parsed.GetValue(model)!, options, Progress(terminal), cancellation);
            terminal.EndProgress();
            BenchOutput.Write(terminal, result);
            return ExitCodes.Done;
        });
        return command;
    }

    private static Option<int?> Rounds() => NumberOptions.Integer(
        "--repeat", "Rounds that count, medians are shown; default: 15 for kernels, 5 for models", 1, 1 << 16);

    private static LineProgress<BenchmarkProgress> Progress(Terminal terminal) =>
        new(terminal, step => $"{step.Step}: {step.Done} of {step.Total}");

    private static (int Rows, int Columns) ParseShape(string text)
    {
        string[] numbers = text.Split('x');
        return numbers.Length == 2
            && int.TryParse(numbers[0], NumberStyles.None, CultureInfo.InvariantCulture, out int rows)
            && int.TryParse(numbers[1], NumberStyles.None, CultureInfo.InvariantCulture, out int columns)
            ? (rows, columns)
            : throw new UsageException($"'{text}' is no shape; write for example 768x2048.");
    }
}
