using System.CommandLine;
using MoeKernels.Cli.Commands;
using MoeKernels.Cli.Output;

namespace MoeKernels.Cli;

/// <summary>The whole command: its verbs, and how its arguments are read and run.</summary>
internal static class MoeCommandLine
{
    // A word that starts with @ names a text file to the options that take one, not a file of arguments.
    private static readonly ParserConfiguration Parser = new() { ResponseFileTokenReplacer = null };

    // Commands handle Ctrl+C and SIGTERM themselves: chat takes the first Ctrl+C for its answer alone.
    private static readonly InvocationConfiguration Invocation = new() { ProcessTerminationTimeout = null };

    /// <summary>Reads arguments without running anything.</summary>
    public static ParseResult Parse(IReadOnlyList<string> arguments) => Create().Parse(arguments, Parser);

    /// <summary>Runs the command and returns its exit code.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var parsed = Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            await Console.Error.WriteLineAsync($"moe: {parsed.Errors[0].Message}");
            return ExitCodes.Usage;
        }

        return await parsed.InvokeAsync(Invocation);
    }

    private static RootCommand Create()
    {
        var root = new RootCommand("Run and measure Mixture-of-Experts models.")
        {
            CommonOptions.Device,
            CommonOptions.Json,
            CommonOptions.Quiet,
            GenerateCommand.Create(),
            ChatCommand.Create(),
            InspectCommand.Create(),
            PlanCommand.Create(),
            DoctorCommand.Create(),
            CompressCommand.Create(),
            ConvertCommand.Create(),
            EvalCommand.Create(),
            BenchCommand.Create(),
            TokenizeCommand.Create(),
            LogitsCommand.Create(),
        };
        root.SetAction(_ =>
        {
            Console.Error.WriteLine(
                "moe: say what to do, for example moe generate -p \"Once upon a time\"; --help lists all");
            return ExitCodes.Usage;
        });
        return root;
    }
}
