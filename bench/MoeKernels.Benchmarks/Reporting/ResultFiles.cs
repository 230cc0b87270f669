using System.Globalization;
using System.Text;
using System.Text.Json;

namespace MoeKernels.Benchmarks.Reporting;

/// <summary>Writes the table for people (Markdown) and for programs (JSON).</summary>
internal static class ResultFiles
{
    private static readonly JsonWriterOptions Indented = new() { Indented = true };

    /// <summary>Writes <c>speed.md</c> and <c>speed.json</c>.</summary>
    /// <param name="folder">Created when missing.</param>
    /// <param name="machine">Where the figures come from.</param>
    /// <param name="results">The figures, in the order of the table.</param>
    /// <param name="notes">Sentences under the table, for example why a peer is missing.</param>
    public static void Write(
        string folder, Machine machine, IReadOnlyList<Result> results, IReadOnlyList<string> notes)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "speed.md"), Markdown(machine, results, notes));
        File.WriteAllText(Path.Combine(folder, "speed.json"), Json(machine, results, notes) + "\n");
    }

    /// <summary>One line of the Markdown table.</summary>
    public static string Line(Result result) => string.Create(
        CultureInfo.InvariantCulture,
        $"| {result.Case} | {result.Threads} | {result.Measure} | {Number(result.Value)} {result.Unit} | "
        + $"{Text(result)} |");

    private static string Markdown(Machine machine, IReadOnlyList<Result> results, IReadOnlyList<string> notes)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # Speed and memory

            | | |
            |---|---|
            | Date | {machine.Date} UTC |
            | Commit | {machine.Commit} |
            | Processor | {machine.Processor}, {machine.Processors} processors, {machine.KernelSet} kernels |
            | Memory | {machine.MemoryBytes / 1e9:F1} GB |
            | System | {machine.Platform} |
            | Command | `{machine.Command}` |
            | Load average at the start | {machine.LoadAverage:F2} |

            What each line means and how it is measured: [bench/README.md](../README.md).

            """);
        foreach (var group in results.GroupBy(result => result.Benchmark))
        {
            text.Append(CultureInfo.InvariantCulture, $"""

                ## {group.Key}

                | case | threads | measure | value | target |
                |---|---:|---|---:|---|

                """);
            foreach (Result result in group)
                text.Append(Line(result)).Append('\n');
        }

        if (notes.Count > 0)
            text.Append("\n## Notes\n\n");
        foreach (string note in notes)
            text.Append(CultureInfo.InvariantCulture, $"- {note}\n");
        return text.ToString();
    }

    private static string Text(Result result)
    {
        if (result.Target is not { } target)
            return string.Empty;

        string range = double.IsInfinity(target.Most) ? $"≥ {Number(target.Least)}"
            : double.IsInfinity(target.Least) ? $"≤ {Number(target.Most)}"
            : $"{Number(target.Least)} to {Number(target.Most)}";
        return $"{range}: {(target.IsMet(result.Value) ? "met" : "missed")}";
    }

    /// <summary>Four digits: more would be noise.</summary>
    private static string Number(double value) => Math.Abs(value) >= 1000
        ? value.ToString("F0", CultureInfo.InvariantCulture)
        : value.ToString("G4", CultureInfo.InvariantCulture);

    private static string Json(Machine machine, IReadOnlyList<Result> results, IReadOnlyList<string> notes)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, Indented))
        {
            json.WriteStartObject();
            WriteMachine(json, machine);
            json.WriteStartArray("results");
            foreach (Result result in results)
                Write(json, result);
            json.WriteEndArray();
            json.WriteStartArray("notes");
            foreach (string note in notes)
                json.WriteStringValue(note);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static void WriteMachine(Utf8JsonWriter json, Machine machine)
    {
        json.WriteString("date", machine.Date);
        json.WriteString("commit", machine.Commit);
        json.WriteString("processor", machine.Processor);
        json.WriteNumber("processors", machine.Processors);
        json.WriteString("kernels", machine.KernelSet);
        json.WriteNumber("memory_bytes", machine.MemoryBytes);
        json.WriteString("system", machine.Platform);
        json.WriteString("command", machine.Command);
        if (double.IsFinite(machine.LoadAverage))
            json.WriteNumber("load_average", machine.LoadAverage);
    }

    /// <summary>Writes one figure; <see cref="Read"/> is its inverse.</summary>
    public static void Write(Utf8JsonWriter json, Result result)
    {
        json.WriteStartObject();
        json.WriteString("benchmark", result.Benchmark);
        json.WriteString("case", result.Case);
        json.WriteNumber("threads", result.Threads);
        json.WriteString("measure", result.Measure);
        json.WriteNumber("value", result.Value);
        json.WriteString("unit", result.Unit);
        if (result.Target is { } target)
        {
            if (double.IsFinite(target.Least))
                json.WriteNumber("at_least", target.Least);
            if (double.IsFinite(target.Most))
                json.WriteNumber("at_most", target.Most);
            json.WriteBoolean("met", target.IsMet(result.Value));
        }

        json.WriteEndObject();
    }

    /// <summary>Reads one figure.</summary>
    public static Result Read(JsonElement json)
    {
        double least = json.TryGetProperty("at_least", out var low) ? low.GetDouble() : double.NegativeInfinity;
        double most = json.TryGetProperty("at_most", out var high) ? high.GetDouble() : double.PositiveInfinity;
        Target? target = double.IsInfinity(least) && double.IsInfinity(most) ? null : new Target(least, most);
        return new Result(
            json.GetProperty("benchmark").GetString()!,
            json.GetProperty("case").GetString()!,
            json.GetProperty("threads").GetInt32(),
            json.GetProperty("measure").GetString()!,
            json.GetProperty("value").GetDouble(),
            json.GetProperty("unit").GetString()!,
            target);
    }
}
