using System.CommandLine;
using MoeKernels.Cli.Output;
using MoeKernels.Generation;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe generate [model] -p TEXT</c>: completes a prompt.</summary>
internal static class GenerateCommand
{
    private const string DefaultPrompt = "It was a dark and stormy night";

    public static Command Create()
    {
        var model = ModelArguments.OptionalModel();
        var prompt = new Option<string>("--prompt", "-p")
        {
            Description = "Text to continue, @file or - for standard input",
            DefaultValueFactory = _ => DefaultPrompt,
        };
        var context = ModelArguments.Context();
        var threads = ModelArguments.Threads();
        var stats = new Option<bool>("--stats") { Description = "Print tokens and speed to stderr" };
        var sampling = new SamplingOptions();
        var command = new Command("generate", "Complete a prompt") { model, prompt, context, threads, stats };
        sampling.AddTo(command);
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            string text = await InputText.ReadAsync(parsed.GetValue(prompt)!, cancellation);
            var options = sampling.Read(parsed) with
            {
                PrefillProgress = new LineProgress<PrefillProgress>(
                    terminal, step => $"reading {step.Done} of {step.Total} prompt tokens"),
            };
            using var loaded = await ModelArguments.LoadAsync(
                parsed, parsed.GetValue(model)!, terminal, parsed.GetValue(context), parsed.GetValue(threads),
                cancellation);
            terminal.Note(loaded.Backend.ToString());
            using var session = loaded.CreateSession();
            await AnswerPrinter.PrintAsync(
                terminal,
                session,
                loaded.Backend.Actual,
                session.GenerateAsync(text, options, cancellation),
                loaded.Info.IsEncoderDecoder ? string.Empty : text);
            if (parsed.GetValue(stats))
            {
                terminal.Note(AnswerPrinter.Describe(session.LastStats));
            }

            return ExitCodes.Done;
        });
        return command;
    }
}
