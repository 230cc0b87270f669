using MoeKernels.Cli.Output;
using MoeKernels.Measuring;

namespace MoeKernels.Cli.Commands;

/// <summary>Benchmark results as Markdown tables and as JSON.</summary>
internal static class BenchOutput
{
    public static void Write(Terminal terminal, KernelBenchmarkResult result)
    {
        var options = result.Options;
        if (terminal.Json)
        {
            WriteJson(terminal, result);
            return;
        }

        terminal.WriteLine(Machine(result.Processor, result.KernelSet, options.Threads));
        terminal.WriteLine();
        var table = new MarkdownTable(
            "layout", "shape", "bits", "tokens", "share", "matrices", "G weights/s", "GB/s", "plain read",
            "fastest read", "of plain read");
        table.Add(
            options.Layout.ToString(), $"{options.Rows}x{options.Columns}", Units.Fixed(result.BitsPerWeight, 3),
            $"{options.Tokens}", $"{options.Share}", $"{result.Matrices}", Giga(result.WeightsPerSecond),
            Giga(result.BytesPerSecond), Giga(result.PlainReadBytesPerSecond), Giga(result.FastestReadBytesPerSecond),
            Units.Fixed(result.OfPlainRead, 2));
        terminal.Write(table.ToString());
        terminal.WriteLine();
        terminal.WriteLine(
            Repetitions(options.Rounds, result.WarmUpSeconds)
            + (options.RotateBytes == 0
                ? "one matrix, from the cache."
                : $"{Units.Bytes(result.Matrices * result.MatrixBytes)} of matrices in turn."));
    }

    public static void Write(Terminal terminal, ModelBenchmarkResult result)
    {
        if (terminal.Json)
        {
            WriteJson(terminal, result);
            return;
        }

        var model = result.Model;
        terminal.WriteLine(
            $"{model.Family}, {Units.Count(model.Parameters)} parameters, "
            + $"{Units.Count(model.ActiveParameters)} active, experts at {Units.Number(model.ExpertBits)} bits");
        terminal.WriteLine(Machine(result.Processor, result.Backend.KernelSet, result.Backend.Threads));
        terminal.WriteLine();
        var speed = new MarkdownTable("prompt tokens", "prefill tokens/s", "first token", "decode tokens/s");
        foreach (var length in result.Lengths)
        {
            speed.Add(
                $"{length.PromptTokens}", Units.Fixed(length.PrefillTokensPerSecond, 1),
                $"{Units.Fixed(length.FirstTokenSeconds, 3)} s", Units.Fixed(length.DecodeTokensPerSecond, 1));
        }

        terminal.Write(speed.ToString());
        terminal.WriteLine();
        var memory = new MarkdownTable("memory and bytes", "measured", "planned or possible");
        memory.Add("weights in the files", Units.Bytes(model.Bytes), string.Empty);
        memory.Add("load", $"{Units.Fixed(result.LoadSeconds, 2)} s", string.Empty);
        memory.Add("resident at most", Units.Bytes(result.PeakResidentBytes), Units.Bytes(result.Plan.TotalBytes));
        memory.Add("weights per decoded token", Units.Bytes(result.Plan.BytesPerToken), string.Empty);
        memory.Add(
            "weights read in decode, GB/s", Giga(result.DecodeBytesPerSecond),
            result.PlainReadBytesPerSecond is { } read ? $"{Giga(read)} plain read" : string.Empty);
        terminal.Write(memory.ToString());
        terminal.WriteLine();
        terminal.WriteLine(
            Repetitions(result.Rounds, result.WarmUpSeconds)
            + $"{result.DecodeTokens} tokens decoded behind each prompt, random ones.");
    }

    private static string Repetitions(int rounds, double warmUpSeconds) =>
        $"Medians of {rounds} interleaved rounds after {Units.Fixed(warmUpSeconds, 1)} s of warm-up; ";

    private static string Machine(string processor, string kernels, int threads) =>
        $"{processor}, {kernels}, {threads} {(threads == 1 ? "thread" : "threads")}";

    private static string Giga(double value) => Units.Fixed(value / 1e9, value < 1e10 ? 2 : 1);

    private static void WriteJson(Terminal terminal, KernelBenchmarkResult result) => terminal.WriteJson(json =>
    {
        var options = result.Options;
        json.WriteString("schema", BenchCommand.Schema);
        json.WriteString("target", "kernel");
        json.WriteString("layout", options.Layout.ToString());
        json.WriteNumber("rows", options.Rows);
        json.WriteNumber("columns", options.Columns);
        json.WriteNumber("bits_per_weight", result.BitsPerWeight);
        json.WriteNumber("tokens", options.Tokens);
        json.WriteNumber("threads", options.Threads);
        json.WriteNumber("share", options.Share);
        json.WriteNumber("rotate_bytes", options.RotateBytes);
        json.WriteNumber("matrices", result.Matrices);
        json.WriteNumber("matrix_bytes", result.MatrixBytes);
        json.WriteNumber("rounds", options.Rounds);
        json.WriteNumber("warm_up_seconds", result.WarmUpSeconds);
        json.WriteNumber("seconds_per_call", result.SecondsPerCall);
        json.WriteNumber("weights_per_s", result.WeightsPerSecond);
        json.WriteNumber("bytes_per_s", result.BytesPerSecond);
        json.WriteNumber("plain_read_bytes_per_s", result.PlainReadBytesPerSecond);
        json.WriteNumber("fastest_read_bytes_per_s", result.FastestReadBytesPerSecond);
        json.WriteNumber("of_plain_read", result.OfPlainRead);
        json.WriteString("kernel_set", result.KernelSet);
        json.WriteString("processor", result.Processor);
    });

    private static void WriteJson(Terminal terminal, ModelBenchmarkResult result) => terminal.WriteJson(json =>
    {
        json.WriteString("schema", BenchCommand.Schema);
        json.WriteString("target", "model");
        json.WriteString("path", result.Model.Path);
        json.WriteString("family", result.Model.Family);
        json.WriteNumber("parameters", result.Model.Parameters);
        json.WriteNumber("active_parameters", result.Model.ActiveParameters);
        json.WriteNumber("weight_bytes", result.Model.Bytes);
        json.WriteNumber("expert_bits", result.Model.ExpertBits);
        json.WriteString("backend", result.Backend.Actual);
        json.WriteString("kernel_set", result.Backend.KernelSet);
        json.WriteString("processor", result.Processor);
        json.WriteNumber("threads", result.Backend.Threads);
        json.WriteNumber("load_seconds", result.LoadSeconds);
        json.WriteNumber("peak_resident_bytes", result.PeakResidentBytes);
        json.WriteNumber("planned_bytes", result.Plan.TotalBytes);
        json.WriteNumber("bytes_per_token", result.Plan.BytesPerToken);
        json.WriteNumber("bytes_per_s", result.DecodeBytesPerSecond);
        if (result.PlainReadBytesPerSecond is { } read)
        {
            json.WriteNumber("plain_read_bytes_per_s", read);
        }

        json.WriteNumber("rounds", result.Rounds);
        json.WriteNumber("warm_up_seconds", result.WarmUpSeconds);
        json.WriteNumber("decode_tokens", result.DecodeTokens);
        json.WriteStartArray("lengths");
        foreach (var length in result.Lengths)
        {
            json.WriteStartObject();
            json.WriteNumber("prompt_tokens", length.PromptTokens);
            json.WriteNumber("prefill_tokens_per_s", length.PrefillTokensPerSecond);
            json.WriteNumber("first_token_seconds", length.FirstTokenSeconds);
            json.WriteNumber("decode_tokens_per_s", length.DecodeTokensPerSecond);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });
}
