using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace MoeKernels.Benchmarks;

/// <summary>Few, long iterations in this process: every invocation already walks through hundreds of
/// megabytes.</summary>
internal sealed class BenchConfig : ManualConfig
{
    /// <param name="quick">One iteration: shows that everything runs.</param>
    public BenchConfig(bool quick)
    {
        AddJob(Job.Default
            .WithToolchain(InProcessEmitToolchain.Instance)
            .WithStrategy(BenchmarkDotNet.Engines.RunStrategy.Throughput)
            .WithWarmupCount(quick ? 1 : 2)
            .WithIterationCount(quick ? 1 : 10)
            .WithInvocationCount(1)
            .WithUnrollFactor(1));
        AddColumnProvider(DefaultColumnProviders.Instance);
        AddColumn(new RateColumn("GB/s", traffic => traffic.Bytes));
        AddColumn(new RateColumn("GFLOP/s", traffic => traffic.Flops));
        AddDiagnoser(MemoryDiagnoser.Default);
        AddLogger(ConsoleLogger.Default);
        AddExporter(MarkdownExporter.GitHub, JsonExporter.BriefCompressed);
        WithArtifactsPath(Path.Combine(Repository.Bench, "BenchmarkDotNet.Artifacts"));
        WithOption(ConfigOptions.DisableOptimizationsValidator, true);
    }
}
