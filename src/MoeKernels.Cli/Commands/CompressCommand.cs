using System.CommandLine;
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
        var restart = new Option<bool>("--restart") { Description = "Start again where an earlier run was stopped" };
        var arguments = new CompressArguments();
        var command = new Command("compress", "Write a compressed copy and a report") { model, output, restart };
        arguments.AddTo(command);
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            CompressOptions options = await arguments.ReadAsync(parsed, cancellation) with
            {
                Resume = !parsed.GetValue(restart),
            };
            var progress = new LineProgress<CompressProgress>(terminal, Describe);
            var report = await Compressor.RunAsync(
                parsed.GetValue(model)!, parsed.GetValue(output)!, options, progress, cancellation);
            terminal.EndProgress();
            terminal.WriteLine(terminal.Json ? report.ToJson() : report.ToMarkdown());
            return ExitCodes.Done;
        });
        return command;
    }

    private static string Describe(CompressProgress step)
    {
        string left = step.Left is { } time ? $", about {Units.Fixed(time.TotalSeconds, 0)} s left" : string.Empty;
        return $"{step.Stage}: {step.Done} of {step.Total}{left}";
    }
}
