using System.CommandLine;
using System.IO.Enumeration;
using System.Text.Json;
using MoeKernels.Cli.Output;
using MoeKernels.Planning;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe inspect [model]</c>: what is in a model folder, read from config and headers.</summary>
internal static class InspectCommand
{
    private const string Schema = "moe.inspect/1";

    public static Command Create()
    {
        var model = ModelArguments.OptionalModel();
        var tensors = new Option<string?>("--tensors")
        {
            Description = "List tensors; with a pattern such as *experts.0* only those",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var router = new Option<bool>("--router") { Description = "List the routers" };
        var command = new Command("inspect", "Show what is in a model, without loading") { model, tensors, router };
        command.SetWork((parsed, terminal, cancellation) =>
        {
            var info = MoeModel.Inspect(parsed.GetValue(model)!);
            string? pattern = parsed.GetResult(tensors) is null ? null : parsed.GetValue(tensors) ?? "*";
            TensorSummary[] listed =
            [
                .. info.Tensors.Where(
                    tensor => pattern is not null
                        && FileSystemName.MatchesSimpleExpression(pattern, tensor.Name, ignoreCase: false)),
            ];
            if (terminal.Json)
            {
                WriteJson(terminal, info, listed);
            }
            else
            {
                WriteText(terminal, info, listed, parsed.GetValue(router));
            }

            if (pattern is not null && listed.Length == 0)
            {
                terminal.Note($"No tensor matches '{pattern}'.");
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void WriteText(Terminal terminal, ModelInfo info, TensorSummary[] listed, bool routers)
    {
        terminal.WriteLine(
            $"{info.Family}, {info.Layers} layers ({info.MoeLayers} MoE), hidden {info.Hidden}, "
            + $"vocabulary {info.Vocabulary}, context {info.MaxContext}");
        if (info.Experts > 0)
        {
            terminal.WriteLine(
                $"{info.Experts} experts, {info.ExpertsPerToken} active; "
                + $"{Units.Count(info.Parameters)} parameters, {Units.Count(info.ActiveParameters)} active, "
                + $"{Units.Number(info.ExpertBits)} bits per expert parameter");
        }

        var parts = new TextTable("weights", "parameters", "size");
        foreach (var part in info.Parts)
        {
            parts.Add(part.Role.ToString(), Units.Count(part.Parameters), Units.Bytes(part.Bytes));
        }

        terminal.Write(parts.ToString());
        foreach (string line in routers ? info.Routers : [])
        {
            terminal.WriteLine(line);
        }

        if (listed.Length > 0)
        {
            var table = new TextTable("tensor", "type", "shape", "size", "role");
            foreach (var tensor in listed)
            {
                table.Add(
                    tensor.Name, tensor.Type.ToString(), $"[{string.Join(", ", tensor.Shape)}]",
                    Units.Bytes(tensor.Bytes), tensor.Role.ToString());
            }

            terminal.Write(table.ToString());
        }
    }

    private static void WriteJson(Terminal terminal, ModelInfo info, TensorSummary[] listed)
    {
        terminal.WriteJson(json =>
        {
            WriteSummary(json, info);
            json.WriteStartArray("tensors");
            foreach (var tensor in listed)
            {
                WriteTensor(json, tensor);
            }

            json.WriteEndArray();
        });
    }

    private static void WriteSummary(Utf8JsonWriter json, ModelInfo info)
    {
        json.WriteString("schema", Schema);
        json.WriteString("path", info.Path);
        json.WriteString("family", info.Family);
        json.WriteNumber("layers", info.Layers);
        json.WriteNumber("moe_layers", info.MoeLayers);
        json.WriteNumber("hidden", info.Hidden);
        json.WriteNumber("vocabulary", info.Vocabulary);
        json.WriteNumber("max_context", info.MaxContext);
        json.WriteNumber("experts", info.Experts);
        json.WriteNumber("experts_per_token", info.ExpertsPerToken);
        json.WriteNumber("parameters", info.Parameters);
        json.WriteNumber("active_parameters", info.ActiveParameters);
        json.WriteNumber("bytes", info.Bytes);
        json.WriteNumber("expert_bits", info.ExpertBits);
        json.WriteStartArray("parts");
        foreach (var part in info.Parts)
        {
            json.WriteStartObject();
            json.WriteString("role", part.Role.ToString());
            json.WriteNumber("parameters", part.Parameters);
            json.WriteNumber("bytes", part.Bytes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("routers");
        foreach (string line in info.Routers)
        {
            json.WriteStringValue(line);
        }

        json.WriteEndArray();
    }

    private static void WriteTensor(Utf8JsonWriter json, TensorSummary tensor)
    {
        json.WriteStartObject();
        json.WriteString("name", tensor.Name);
        json.WriteString("type", tensor.Type.ToString());
        json.WriteStartArray("shape");
        foreach (long extent in tensor.Shape)
        {
            json.WriteNumberValue(extent);
        }

        json.WriteEndArray();
        json.WriteNumber("bytes", tensor.Bytes);
        json.WriteString("role", tensor.Role.ToString());
        json.WriteEndObject();
    }
}
