using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MoeKernels.Benchmarks.Reporting;

namespace MoeKernels.Benchmarks.Models;

/// <summary>Runs a generated model end to end in processes of their own: load, prefill, decode; speed, allocation, and
/// memory against the plan.</summary>
/// <remarks>Not a BenchmarkDotNet job: resident memory and load time are properties of a process that does nothing else
/// (<see cref="WholeModelChild"/>).</remarks>
internal static class WholeModelBenchmark
{
    public const string Name = "model";

    private const int Layers = 4;

    /// <summary>Generates the model, measures once per thread count and removes it.</summary>
    public static void Run(BenchmarkRun run, BenchmarkOptions options)
    {
        var model = new GeneratedModel(options.Quick ? 1 : Layers, options.Quick ? 8192 : 151_936);
        string folder = model.Write(options.ModelParent);
        try
        {
            foreach (int threads in run.ThreadCounts)
            {
                foreach (Result result in RunChild(folder, threads, options.Quick))
                    run.Add(result);
            }
        }
        finally
        {
            if (!options.KeepModel)
                Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Measures one folder in a process of its own.</summary>
    public static Result[] RunChild(string folder, int threads, bool quick)
    {
        string output = Path.GetTempFileName();
        try
        {
            string[] arguments =
            [
                WholeModelChild.Verb, folder, threads.ToString(CultureInfo.InvariantCulture), quick ? "quick" : "full",
                Interleaved.ProcessorTime ? "cpu" : "wall", output,
            ];
            using var child = Process.Start(Environment.ProcessPath!, arguments);
            child.WaitForExit();
            if (child.ExitCode != 0)
                throw new InvalidOperationException($"The model's process ended with {child.ExitCode}.");

            using var json = JsonDocument.Parse(File.ReadAllBytes(output));
            return [.. json.RootElement.EnumerateArray().Select(ResultFiles.Read)];
        }
        finally
        {
            File.Delete(output);
        }
    }
}
