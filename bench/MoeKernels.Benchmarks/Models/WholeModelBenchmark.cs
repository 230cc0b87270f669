using System.Diagnostics;
using System.Globalization;
using MoeKernels.Formats;
using MoeKernels.Generation;

namespace MoeKernels.Benchmarks.Models;

/// <summary>One figure of the whole-model table.</summary>
internal sealed record Figure(string Name, double Value, string Unit);

/// <summary>Runs a generated model end to end: load, prefill, decode; speed, allocation, and memory against the plan.</summary>
/// <remarks>A process of its own, not a BenchmarkDotNet job: resident memory and load time are properties of a process
/// that does nothing else.</remarks>
internal static class WholeModelBenchmark
{
    private const int PromptTokens = 512;
    private const int DecodeTokens = 48;
    private const int Repeats = 3;

    public static async Task<IReadOnlyList<Figure>> RunAsync(string folder)
    {
        var options = new MoeLoadOptions { ContextLength = 1024 };
        var plan = MoeModel.Plan(folder, options);
        var figures = new List<Figure>();
        var clock = Stopwatch.StartNew();
        using var model = await MoeModel.LoadAsync(folder, options, new Progress<LoadProgress>());
        double load = clock.Elapsed.TotalSeconds;
        figures.Add(new("weights", model.Info.Bytes / 1e9, "GB"));
        figures.Add(new("load", load, "s"));
        figures.Add(new("load rate", model.Info.Bytes / 1e9 / load, "GB/s"));
        using (var session = model.CreateSession())
        {
            Measure(session, model.Info.Vocabulary, figures);
        }

        long resident = PeakResidentBytes();
        figures.Add(new("planned memory", plan.TotalBytes / 1e9, "GB"));
        figures.Add(new("peak resident memory", resident / 1e9, "GB"));
        figures.Add(new("peak / plan", (double)resident / plan.TotalBytes, string.Empty));
        figures.Add(new("weights read per token", plan.BytesPerToken / 1e9, "GB"));
        return figures;
    }

    private static void Measure(MoeSession session, int vocabulary, List<Figure> figures)
    {
        var random = new Random(1);
        int[] prompt = [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(vocabulary))];
        float[] logits = new float[vocabulary];
        var prefill = new List<double>();
        var decode = new List<double>();
        long allocated = 0;
        for (int repeat = 0; repeat <= Repeats; repeat++)
        {
            session.RewindTo(0);
            double prefillSeconds = Time(() => session.Forward(prompt, logits));
            int[] token = [prompt[0]];
            session.Forward(token, logits);
            long before = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < DecodeTokens; i++)
            {
                // Other tokens choose other experts: the weights rotate through far more than the caches.
                token[0] = prompt[(i + 1) * 7 % PromptTokens];
                session.Forward(token, logits);
            }

            double decodeSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (repeat > 0)
            {
                prefill.Add(prefillSeconds);
                decode.Add(decodeSeconds);
            }
        }

        figures.Add(new($"prefill, {PromptTokens} tokens", PromptTokens / Median(prefill), "tokens/s"));
        figures.Add(new($"time to first token, {PromptTokens} tokens", Median(prefill), "s"));
        figures.Add(new("decode", DecodeTokens / Median(decode), "tokens/s"));
        figures.Add(new("managed bytes allocated per decoded token", (double)allocated / DecodeTokens, "B"));
    }

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    /// <summary>VmHWM of Linux: the most memory the process ever had resident, mapped weights included.</summary>
    private static long PeakResidentBytes()
    {
        string line = File.ReadLines("/proc/self/status").First(entry => entry.StartsWith("VmHWM:", StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
