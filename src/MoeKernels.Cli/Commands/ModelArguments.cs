using System.CommandLine;
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

    public static Option<int?> Context() => NumberOptions.Integer(
        "--ctx", "Context length in tokens; default: the model's, at most 4096", min: 1);

    public static Option<int?> Threads() => NumberOptions.Integer(
        "--threads", "Worker threads; default: MOEK_THREADS, else all processors", 1, MoeLoadOptions.MaxThreads);

    /// <summary>Loads a model with a progress line, on the device that the user named: one that is named and cannot be
    /// used is an error.</summary>
    public static Task<MoeModel> LoadAsync(
        ParseResult parsed, string path, Terminal terminal, int? contextLength, int? threads,
        CancellationToken cancellation) => LoadAsync(
            parsed, path, terminal, new MoeLoadOptions { ContextLength = contextLength, Threads = threads ?? 0 },
            cancellation);

    /// <inheritdoc cref="LoadAsync(ParseResult, string, Terminal, int?, int?, CancellationToken)"/>
    public static async Task<MoeModel> LoadAsync(
        ParseResult parsed, string path, Terminal terminal, MoeLoadOptions options, CancellationToken cancellation)
    {
        var device = CommonOptions.DeviceOf(parsed);
        options = options with { Device = device, RequireDevice = device is { Kind: DeviceKind.Cuda } };
        var progress = new LineProgress<Formats.LoadProgress>(
            terminal, step => $"loading {Units.Bytes(step.BytesRead)} of {Units.Bytes(step.BytesTotal)}");
        var model = await MoeModel.LoadAsync(path, options, progress, cancellation);
        terminal.EndProgress();
        return model;
    }
}
