using System.CommandLine;
using MoeKernels.Cli.Output;
using MoeKernels.Formats;
using MoeKernels.Models.Execution;
using MoeKernels.Planning;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe logits MODEL --ids FILE --out FILE</c>: one forward call, recorded for comparison with other
/// engines.</summary>
internal static class LogitsCommand
{
    private const string Schema = "moe.logits/1";

    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "Model folder" };
        var ids = new Option<string>("--ids")
        {
            Description = "Safetensors file with input_ids, and attention_mask and decoder_input_ids "
                + "where the model has them",
            Required = true,
        };
        var output = new Option<string>("--out") { Description = "Safetensors file to write", Required = true };
        var hidden = new Option<bool>("--hidden") { Description = "Also write the hidden states" };
        var router = new Option<bool>("--router") { Description = "Also write what the routers did" };
        var rotary = new Option<string>("--rotary")
        {
            Description = "Rotary frequencies: fp32, bf16 (a model that was cast as a whole), or auto: bf16 for "
                + "folders that transformers 5 or later saved, whose reference outputs come from such models",
            DefaultValueFactory = _ => "auto",
        };
        rotary.AcceptOnlyFromAmong("auto", "fp32", "bf16");
        var threads = ModelArguments.Threads();
        var command = new Command("logits", "Write logits, hidden states and routing of token ids")
        {
            model, ids, output, hidden, router, rotary, threads,
        };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            var input = ForwardInput.Open(parsed.GetValue(ids)!);
            string folder = parsed.GetValue(model)!;
            var options = new MoeLoadOptions
            {
                Threads = parsed.GetValue(threads) ?? 0,
                Rotary = Rotary(parsed.GetValue(rotary)!, folder),
            };
            if (options.Rotary == RotaryPrecision.BFloat16)
            {
                terminal.Note("Rotary frequencies are rounded to bf16; --rotary fp32 keeps them exact.");
            }

            using var loaded = await ModelArguments.LoadAsync(parsed, folder, terminal, options, cancellation);
            var tensors = await loaded.RecordAsync(
                input, parsed.GetValue(hidden), parsed.GetValue(router), cancellation);
            var writer = new SafetensorsWriter();
            foreach (var tensor in tensors)
            {
                tensor.AddTo(writer);
            }

            writer.Save(parsed.GetValue(output)!, cancellation);
            Report(terminal, parsed.GetValue(output)!, tensors);
            return ExitCodes.Done;
        });
        return command;
    }

    private static RotaryPrecision Rotary(string choice, string folder)
    {
        bool rounded = choice == "bf16" || (choice == "auto" && IsSavedByTransformers5(MoeModel.Inspect(folder)));
        return rounded ? RotaryPrecision.BFloat16 : RotaryPrecision.Single;
    }

    private static bool IsSavedByTransformers5(ModelInfo info) =>
        Version.TryParse(info.TransformersVersion, out var version) && version.Major >= 5;

    private static void Report(Terminal terminal, string path, IReadOnlyList<RecordedTensor> tensors)
    {
        if (!terminal.Json)
        {
            terminal.WriteLine($"{path}: {tensors.Count} tensors");
            return;
        }

        terminal.WriteJson(json =>
        {
            json.WriteString("schema", Schema);
            json.WriteString("path", path);
            json.WriteStartArray("tensors");
            foreach (var tensor in tensors)
            {
                json.WriteStringValue(tensor.Name);
            }

            json.WriteEndArray();
        });
    }
}
