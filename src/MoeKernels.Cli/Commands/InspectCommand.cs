using System.CommandLine;
using System.IO.Enumeration;
using MoeKernels.Cli.Output;
using MoeKernels.Compression;
using MoeKernels.Formats;
using MoeKernels.Planning;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe inspect [model]</c>: what is in a model folder, read from config and headers.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var model = ModelArguments.OptionalModel();
        var tensors = new Option<string?>("--tensors")
        {
            Description = "List tensors; with a pattern such as *experts.0* only those",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var router = new Option<bool>("--router") { Description = "List the routers" };
        var verify = new Option<bool>("--verify")
        {
            Description = "Compare the files of a compressed model with their checksums",
        };
        var command = new Command("inspect", "Show what is in a model, without loading")
        {
            model, tensors, router, verify,
        };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            string folder = parsed.GetValue(model)!;
            if (parsed.GetValue(verify))
            {
                await VerifyAsync(folder, terminal, cancellation);
            }

            var info = MoeModel.Inspect(folder);
            var report = ReadReport(folder, terminal);
            string? pattern = parsed.GetResult(tensors) is null ? null : parsed.GetValue(tensors) ?? "*";
            TensorSummary[] listed =
            [
                .. info.Tensors.Where(
                    tensor => pattern is not null
                        && FileSystemName.MatchesSimpleExpression(pattern, tensor.Name, ignoreCase: false)),
            ];
            if (terminal.Json)
            {
                InspectOutput.WriteJson(terminal, info, report, listed);
            }
            else
            {
                InspectOutput.WriteText(terminal, info, report, listed, parsed.GetValue(router));
            }

            if (pattern is not null && listed.Length == 0)
            {
                terminal.Note($"No tensor matches '{pattern}'.");
            }

            return ExitCodes.Done;
        });
        return command;
    }

    /// <summary>Compares the files with their checksums; a difference ends the command.</summary>
    private static async Task VerifyAsync(string folder, Terminal terminal, CancellationToken cancellation)
    {
        var progress = new LineProgress<LoadProgress>(
            terminal, step => $"reading {Units.Bytes(step.BytesRead)} of {Units.Bytes(step.BytesTotal)}");
        var damaged = await Compressor.VerifyAsync(folder, progress, cancellation);
        terminal.EndProgress();
        if (damaged.Count == 0)
        {
            terminal.Note("All files are as they were written.");
            return;
        }

        if (terminal.Json)
        {
            InspectOutput.WriteDamaged(terminal, folder, damaged);
        }

        throw new CheckFailedException($"{folder}: damaged or missing: {string.Join(", ", damaged)}");
    }

    /// <summary>The report of a compressed folder; one that cannot be read must not hide the weights.</summary>
    private static CompressionReport? ReadReport(string folder, Terminal terminal)
    {
        try
        {
            return CompressionReport.Exists(folder) ? CompressionReport.Read(folder) : null;
        }
        catch (MoeFormatException exception)
        {
            terminal.Note($"The report cannot be read: {exception.Message}");
            return null;
        }
    }
}
