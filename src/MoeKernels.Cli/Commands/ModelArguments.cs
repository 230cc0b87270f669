using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using MoeKernels.Cli.Output;

namespace MoeKernels.Cli.Commands;

/// <summary>Arguments and options that several commands share.</summary>
internal static class ModelArguments
{
    /// <summary>A model folder; the sample model when left out.</summary>
    public static Argument<string> OptionalModel() => OptionalPath(
        "model", "Model folder as downloaded; default: the sample model that comes with moe");

    /// <summary>A path with the sample model as its default. A misspelt option is not taken for a path.</summary>
    public static Argument<string> OptionalPath(string name, string description)
    {
        var argument = new Argument<string>(name)
        {
            Description = description,
            DefaultValueFactory = _ => SampleData.Model,
        };
        argument.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && result.Tokens[0].Value.StartsWith('-'))
            {
                result.AddError($"Unknown option '{result.Tokens[0].Value}'.");
            }
        });
        return argument;
    }

    public static Option<int?> Context() => new("--ctx")
    {
        Description = "Context length in tokens; default: the model's, at most 4096",
    };

    public static Option<int> Threads() => new("--threads")
    {
        Description = "Worker threads; default: MOEK_THREADS, else all processors",
    };

    /// <summary>A number that reads the same in every culture.</summary>
    public static Option<float?> Number(string name, string description) => new(name)
    {
        Description = description,
        CustomParser = result => ParseNumber(result),
    };

    /// <summary>Loads a model with a progress line.</summary>
    public static Task<MoeModel> LoadAsync(
        string path, Terminal terminal, int? contextLength, int threads, CancellationToken cancellation) => LoadAsync(
            path, terminal, new MoeLoadOptions { ContextLength = contextLength, Threads = threads }, cancellation);

    /// <inheritdoc cref="LoadAsync(string, Terminal, int?, int, CancellationToken)"/>
    public static async Task<MoeModel> LoadAsync(
        string path, Terminal terminal, MoeLoadOptions options, CancellationToken cancellation)
    {
        var progress = new LineProgress<Formats.LoadProgress>(
            terminal, step => $"loading {Units.Bytes(step.BytesRead)} of {Units.Bytes(step.BytesTotal)}");
        var model = await MoeModel.LoadAsync(path, options, progress, cancellation);
        terminal.EndProgress();
        return model;
    }

    /// <summary>Text given as it is, as <c>@file</c>, or as <c>-</c> for standard input.</summary>
    public static async Task<string> ReadTextAsync(string value, CancellationToken cancellation) => value switch
    {
        "-" => await Console.In.ReadToEndAsync(cancellation),
        ['@', .. var file] => await File.ReadAllTextAsync(file, cancellation),
        _ => value,
    };

    private static float? ParseNumber(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out float value))
        {
            return value;
        }

        result.AddError($"'{text}' is not a number.");
        return null;
    }
}
