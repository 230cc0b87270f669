using System.CommandLine;
using MoeKernels.Cli.Output;
using MoeKernels.Generation.Evaluation;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe eval [model] --text FILE...</c>: perplexity, and KL divergence against a reference model.</summary>
internal static class EvalCommand
{
    private const string Schema = "moe.eval/1";

    public static Command Create()
    {
        var model = ModelArguments.OptionalModel();
        var texts = new Option<string[]>("--text")
        {
            Description = "Text files; default: the small book that comes with moe",
            AllowMultipleArgumentsPerToken = true,
        };
        var reference = new Option<string?>("--ref")
        {
            Description = "Model folder to compare with: adds the KL divergence",
        };
        var window = NumberOptions.Integer("--window", "Tokens per window; default: 512", min: 1);
        var windows = NumberOptions.Integer("--windows", "Most windows to score; default: all", min: 1);
        var threads = ModelArguments.Threads();
        var command = new Command("eval", "Perplexity and KL divergence against a reference")
        {
            model, texts, reference, window, windows, threads,
        };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            string[] contents = await ReadAsync(parsed.GetValue(texts) ?? [], cancellation);
            int? workers = parsed.GetValue(threads);
            using var loaded = await ModelArguments.LoadAsync(
                parsed, parsed.GetValue(model)!, terminal, null, workers, cancellation);
            using var compared = parsed.GetValue(reference) is { } other
                ? await ModelArguments.LoadAsync(parsed, other, terminal, null, workers, cancellation)
                : null;
            var options = new EvaluationOptions { MaxWindows = parsed.GetValue(windows) };
            if (parsed.GetValue(window) is { } length)
            {
                options = options with { Window = length };
            }

            var progress = new LineProgress<EvaluationProgress>(
                terminal, step => $"window {step.Window} of {step.Windows}, nll {step.Nll:F4}");
            var result = await loaded.EvaluateAsync(contents, options, compared, progress, cancellation);
            terminal.EndProgress();
            Write(terminal, result);
            return ExitCodes.Done;
        });
        return command;
    }

    /// <summary>Reads the files in file-name order, as the protocol joins them.</summary>
    private static async Task<string[]> ReadAsync(string[] files, CancellationToken cancellation)
    {
        string[] paths = files.Length == 0
            ? [SampleData.Book]
            : [.. files.OrderBy(file => Path.GetFileName(file), StringComparer.Ordinal)];
        return await Task.WhenAll(paths.Select(path => InputText.ReadFileAsync(path, cancellation)));
    }

    private static void Write(Terminal terminal, EvaluationResult result)
    {
        if (!terminal.Json)
        {
            terminal.WriteLine($"nll         {Units.Fixed(result.Nll, 6)}");
            terminal.WriteLine($"perplexity  {Units.Fixed(result.Perplexity, 4)}");
            if (result.Kl is { } kl)
            {
                terminal.WriteLine($"reference   nll {Units.Fixed(result.ReferenceNll!.Value, 6)}, "
                    + $"perplexity {Units.Fixed(result.ReferencePerplexity!.Value, 4)}");
                terminal.WriteLine(
                    $"kl          {Units.Fixed(kl, 6)}, 99 % below {Units.Fixed(result.Kl99!.Value, 6)}");
                terminal.WriteLine($"same top    {Units.Fixed(result.SameTop!.Value, 4)}");
            }

            terminal.WriteLine($"tokens      {result.Tokens}");
            return;
        }

        terminal.WriteJson(json =>
        {
            json.WriteString("schema", Schema);
            json.WriteNumber("nll", result.Nll);
            json.WriteNumber("perplexity", result.Perplexity);
            if (result.Kl is { } kl)
            {
                json.WriteNumber("reference_nll", result.ReferenceNll!.Value);
                json.WriteNumber("reference_perplexity", result.ReferencePerplexity!.Value);
                json.WriteNumber("kl", kl);
                json.WriteNumber("kl_99", result.Kl99!.Value);
                json.WriteNumber("same_top", result.SameTop!.Value);
            }

            json.WriteNumber("tokens", result.Tokens);
            json.WriteNumber("windows", result.Windows);
        });
    }
}
