using System.Text.Json;
using MoeKernels.Cli.Output;
using MoeKernels.Compression;
using MoeKernels.Planning;

namespace MoeKernels.Cli.Commands;

/// <summary>What <c>moe inspect</c> shows, as text and as JSON.</summary>
internal static class InspectOutput
{
    private const string Schema = "moe.inspect/1";

    public static void WriteText(
        Terminal terminal, ModelInfo info, CompressionReport? report, TensorSummary[] listed, bool routers)
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
        WriteCoded(terminal, info);
        if (report is not null)
        {
            terminal.WriteLine(Describe(report));
        }

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

    public static void WriteJson(
        Terminal terminal, ModelInfo info, CompressionReport? report, TensorSummary[] listed)
    {
        terminal.WriteJson(json =>
        {
            WriteSummary(json, info);
            WriteCoded(json, info);
            WriteReport(json, report);
            json.WriteStartArray("tensors");
            foreach (var tensor in listed)
            {
                WriteTensor(json, tensor);
            }

            json.WriteEndArray();
        });
    }

    /// <summary>Says which files are not as they were written.</summary>
    public static void WriteDamaged(Terminal terminal, string folder, IReadOnlyList<string> damaged) =>
        terminal.WriteJson(json =>
        {
            json.WriteString("schema", Schema);
            json.WriteString("path", folder);
            json.WriteStartArray("damaged");
            foreach (string name in damaged)
            {
                json.WriteStringValue(name);
            }

            json.WriteEndArray();
        });

    /// <summary>What got which codes: layers downwards, kinds to the right.</summary>
    private static void WriteCoded(Terminal terminal, ModelInfo info)
    {
        var blocks = info.Coded.Where(stack => stack.Layer >= 0).ToLookup(stack => (stack.Layer, stack.Kind));
        string[] kinds = [.. blocks.Select(cell => cell.Key.Kind).Distinct(StringComparer.Ordinal)];
        if (kinds.Length > 0)
        {
            var table = new TextTable(["layer", .. ShortNames(kinds)]);
            foreach (int layer in blocks.Select(cell => cell.Key.Layer).Distinct().Order())
            {
                var cells = kinds.Select(kind => string.Join(", ", blocks[(layer, kind)].Select(Encoding)));
                table.Add([$"{layer}", .. cells]);
            }

            terminal.Write(table.ToString());
        }

        foreach (var stack in info.Coded.Where(stack => stack.Layer < 0))
        {
            terminal.WriteLine($"{stack.Kind}  {Encoding(stack)}");
        }
    }

    /// <summary>Last words of the names where they tell the kinds apart.</summary>
    private static string[] ShortNames(string[] kinds)
    {
        string[] last = Array.ConvertAll(kinds, kind => kind[(kind.LastIndexOf('.') + 1)..]);
        return last.Distinct(StringComparer.Ordinal).Count() == kinds.Length ? last : kinds;
    }

    private static string Encoding(CodedStack stack) => $"{stack.Label} {Units.Fixed(stack.Bits, 2)} bits";

    private static string Describe(CompressionReport report)
    {
        var quality = report.Quality.Count > 0 ? report.Quality[0].Result : null;
        string loss = quality is { Kl: { } kl, Kl99: { } kl99, SameTop: { } same }
            ? $": kl {Units.Fixed(kl, 4)}, 99 % below {Units.Fixed(kl99, 4)}, "
                + $"same top token {Units.Fixed(100 * same, 1)} %"
            : string.Empty;
        return $"compressed from {report.Source} by {report.Method}{loss}";
    }

    private static void WriteCoded(Utf8JsonWriter json, ModelInfo info)
    {
        json.WriteStartArray("coded");
        foreach (var stack in info.Coded)
        {
            json.WriteStartObject();
            json.WriteString("name", stack.Name);
            json.WriteString("role", stack.Role.ToString());
            json.WriteNumber("layer", stack.Layer);
            json.WriteString("kind", stack.Kind);
            json.WriteNumber("matrices", stack.Matrices);
            json.WriteNumber("rows", stack.Rows);
            json.WriteNumber("columns", stack.Columns);
            json.WriteString("encoding", stack.Encoding);
            json.WriteNumber("dimension", stack.Dimension);
            json.WriteNumber("stages", stack.Stages);
            json.WriteNumber("codebooks", stack.Codebooks);
            json.WriteNumber("bytes", stack.Bytes);
            json.WriteNumber("bits", stack.Bits);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteReport(Utf8JsonWriter json, CompressionReport? report)
    {
        if (report is null)
        {
            return;
        }

        json.WriteStartObject("report");
        json.WriteString("source", report.Source);
        json.WriteString("method", report.Method);
        json.WriteNumber("expert_bits", report.Sizes.ExpertBits);
        if (report.Quality.Count > 0 && report.Quality[0].Result is { Kl: { } kl, Kl99: { } kl99, SameTop: { } same })
        {
            json.WriteNumber("kl", kl);
            json.WriteNumber("kl_99", kl99);
            json.WriteNumber("same_top", same);
        }

        json.WriteEndObject();
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
