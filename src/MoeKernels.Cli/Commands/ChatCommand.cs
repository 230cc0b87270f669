using System.CommandLine;
using MoeKernels.Cli.Output;
using MoeKernels.Generation;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe chat [model]</c>: a conversation in the model's own chat template.</summary>
internal static class ChatCommand
{
    public static Command Create()
    {
        var model = ModelArguments.OptionalModel();
        var system = new Option<string?>("--system") { Description = "System message" };
        var prompt = new Option<string?>("--prompt", "-p")
        {
            Description = "One message, then leave; @file or - for standard input",
        };
        var context = ModelArguments.Context();
        var threads = ModelArguments.Threads();
        var stats = new Option<bool>("--stats") { Description = "Print tokens and speed to stderr after each answer" };
        var sampling = new SamplingOptions();
        var command = new Command("chat", "Interactive conversation")
        {
            model, system, prompt, context, threads, stats,
        };
        sampling.AddTo(command);
        command.SetInterruptibleWork(async (parsed, terminal, interrupts) =>
        {
            var cancellation = interrupts.Command;
            string? single = parsed.GetValue(prompt) is { } text
                ? await InputText.ReadAsync(text, cancellation)
                : null;
            using var loaded = await ModelArguments.LoadAsync(
                parsed, parsed.GetValue(model)!, terminal, parsed.GetValue(context), parsed.GetValue(threads),
                cancellation);
            terminal.Note(loaded.Backend.ToString());
            using var chat = loaded.CreateChat();
            var conversation = new Conversation(
                terminal, chat, loaded.Backend.Actual, sampling.Read(parsed), parsed.GetValue(stats));
            if (parsed.GetValue(system) is { } instruction)
            {
                chat.AddMessage("system", instruction);
            }

            if (single is not null)
            {
                await conversation.AnswerAsync(single, cancellation);
            }
            else
            {
                await conversation.RunAsync(interrupts);
            }

            return ExitCodes.Done;
        });
        return command;
    }

    /// <summary>Reads messages until the input ends.</summary>
    private sealed class Conversation(
        Terminal terminal, MoeChat chat, string backend, GenerationOptions options, bool stats)
    {
        public async Task RunAsync(Interrupts interrupts)
        {
            terminal.Note("Write a message; an empty line or Ctrl+D leaves, Ctrl+C stops the answer.");
            while (true)
            {
                terminal.Ask();
                string? line = await InputText.ReadLineAsync(interrupts.Command);
                if (string.IsNullOrEmpty(line))
                {
                    return;
                }

                await TryAnswerAsync(line, interrupts);
            }
        }

        /// <summary>A stopped or too long answer ends with a note; the conversation goes on.</summary>
        private async Task TryAnswerAsync(string text, Interrupts interrupts)
        {
            try
            {
                await AnswerAsync(text, interrupts.BeginStep());
            }
            catch (OperationCanceledException) when (!interrupts.Command.IsCancellationRequested)
            {
                terminal.Note("Stopped.");
            }
            catch (MoeContextException exception)
            {
                terminal.Error($"moe: {exception.Message}");
            }
            finally
            {
                interrupts.EndStep();
            }
        }

        public async Task AnswerAsync(string text, CancellationToken cancellation)
        {
            await AnswerPrinter.PrintAsync(
                terminal, chat.Session, backend, chat.SendAsync(text, options, cancellation));
            if (stats)
            {
                terminal.Note(AnswerPrinter.Describe(chat.Session.LastStats));
            }
        }
    }
}
