using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MoeKernels.Benchmarks.Reporting;
using MoeKernels.Generation;
using MoeKernels.Planning;

namespace MoeKernels.Benchmarks.Models;

/// <summary>The process that loads and runs the generated model and nothing else.</summary>
internal sealed class WholeModelChild(string folder, int threads, bool quick)
{
    /// <summary>First argument of the process; then folder, threads, <c>quick</c> or <c>full</c>, <c>wall</c> or
    /// <c>cpu</c>, output
    /// file.</summary>
    public const string Verb = "run-model";

    private const int ContextLength = 1024;
    private const int PromptTokens = 512;

    private readonly List<Result> _results = [];

    private string Case { get; } = $"Qwen3-30B-A3B shapes, {Path.GetFileName(folder)}";

    private int DecodeTokens => quick ? 4 : 48;

    /// <summary>Measures and writes the figures.</summary>
    public static int Run(string[] arguments)
    {
        if (arguments is not [_, string folder, string threads, string extent, string clock, string output])
            return 2;

        Interleaved.ProcessorTime = clock == "cpu";
        var child = new WholeModelChild(folder, int.Parse(threads, CultureInfo.InvariantCulture), extent == "quick");
        child.RunAsync().GetAwaiter().GetResult();
        using var stream = File.Create(output);
        using var json = new Utf8JsonWriter(stream);
        json.WriteStartArray();
        foreach (Result result in child._results)
            ResultFiles.Write(json, result);
        json.WriteEndArray();
        return 0;
    }

    private async Task RunAsync()
    {
        var options = new MoeLoadOptions { ContextLength = ContextLength, Threads = threads };
        double coldSeconds = PageCache.Drop(folder) ? await LoadAsync(options) : double.NaN;
        long start = Stopwatch.GetTimestamp();
        using MoeModel model = await MoeModel.LoadAsync(folder, options);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        double gigabytes = model.Info.Bytes / 1e9;
        Add("weights", gigabytes, "GB");
        if (double.IsFinite(coldSeconds))
            Add("load from disk", gigabytes / coldSeconds, "GB/s");
        Add("load from the page cache", gigabytes / seconds, "GB/s");

        using (MoeSession session = model.CreateSession())
            Measure(session, model.Info.Vocabulary, MoeModel.Plan(folder, options));
    }

    private async Task<double> LoadAsync(MoeLoadOptions options)
    {
        long start = Stopwatch.GetTimestamp();
        using MoeModel model = await MoeModel.LoadAsync(folder, options);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>One pass for the memory and as warm-up, then timed rounds of prefill, decode and plain read.</summary>
    private void Measure(MoeSession session, int vocabulary, MemoryPlan plan)
    {
        var random = new Random(1);
        int[] prompt = [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(vocabulary))];
        float[] logits = new float[vocabulary];
        Prefill(session, prompt, logits);
        long allocated = Decode(session, prompt, logits);
        ReportMemory(plan);

        using var file = new MappedWeights(Path.Combine(folder, "model.safetensors"), "lm_head.weight", threads);
        Console.WriteLine(file.IsLocked ? "The file is locked in memory." : "The file could not be locked in memory.");
        var times = Interleaved.Measure(
            quick ? 1 : 5,
            threads,
            file.Read,
            file.Read,
            () => Prefill(session, prompt, logits),
            () => allocated = Decode(session, prompt, logits));

        // Virtual machines may serve the first touch after some seconds slowly: the second of the two reads counts.
        double read = file.Bytes / 1e9 / times[1].Seconds;
        double prefill = times[2].Seconds;
        double decode = times[3].Seconds / DecodeTokens;
        double gigabytes = plan.BytesPerToken / 1e9;
        Add($"prefill of {PromptTokens} tokens", PromptTokens / prefill, "tokens/s");
        Add($"time to first token after {PromptTokens}", prefill, "s");
        Add("decode", 1 / decode, "tokens/s");
        Add("managed bytes per decoded token", (double)allocated / DecodeTokens, "B", Target.AtMost(0));
        Add("weights read per token", gigabytes, "GB");
        Add("weights read in decode", gigabytes / decode, "GB/s");
        Add("plain read of mapped weights", read, "GB/s");
        Add("decode / plain read", gigabytes / decode / read, string.Empty);
    }

    private void ReportMemory(MemoryPlan plan)
    {
        double resident = ProcessMemory.PeakResidentBytes();
        Add("planned memory", plan.TotalBytes / 1e9, "GB");
        Add("peak resident memory", resident / 1e9, "GB");
        Add("peak / plan", resident / plan.TotalBytes, string.Empty, new Target(0.95, 1.05));
    }

    private static void Prefill(MoeSession session, int[] prompt, float[] logits)
    {
        session.RewindTo(0);
        session.Forward(prompt, logits);
    }

    /// <summary>Tokens that the model did not choose but that differ: other experts, so that no weight is still in a
    /// cache. Returns the managed bytes allocated.</summary>
    private long Decode(MoeSession session, int[] prompt, float[] logits)
    {
        long before = GC.GetTotalAllocatedBytes(precise: true);
        for (int i = 0; i < DecodeTokens; i++)
            session.Forward(prompt.AsSpan((i + 1) * 7 % PromptTokens, 1), logits);
        return GC.GetTotalAllocatedBytes(precise: true) - before;
    }

    private void Add(string measure, double value, string unit, Target? target = null) =>
        _results.Add(new Result(WholeModelBenchmark.Name, Case, threads, measure, value, unit, target));
}
