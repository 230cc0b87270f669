using System.CommandLine;
using MoeKernels.Cli.Output;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe convert IN OUT</c>: QMoE's folders to safetensors and back.</summary>
internal static class ConvertCommand
{
    private const string Schema = "moe.convert/1";

    public static Command Create()
    {
        var source = new Argument<string>("in")
        {
            Description = "QMoE's torch files (noexp.pt, expNN.pt, sizes.pt), or a folder with its codewords",
        };
        var target = new Argument<string>("out") { Description = "New folder; it appears whole or not at all" };
        var command = new Command("convert", "Convert QMoE checkpoints to safetensors and back, without loss")
        {
            source, target,
        };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            (string from, string to) = (parsed.GetValue(source)!, parsed.GetValue(target)!);
            bool import = QmoeFolder.IsCheckpoint(from);
            var progress = new LineProgress<string>(terminal, file => $"converting {file}");
            await (import
                ? QmoeFolder.ImportAsync(from, to, progress, cancellation)
                : QmoeFolder.ExportAsync(from, to, progress, cancellation));
            terminal.EndProgress();
            string format = import ? "safetensors" : "torch";
            if (terminal.Json)
            {
                terminal.WriteJson(json =>
                {
                    json.WriteString("schema", Schema);
                    json.WriteString("path", to);
                    json.WriteString("format", format);
                });
            }
            else
            {
                terminal.WriteLine($"{to}: {(import ? "safetensors with QMoE's codewords" : "QMoE's torch files")}");
            }

            return ExitCodes.Done;
        });
        return command;
    }
}
