using System.Globalization;
using System.Reflection;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace MoeKernels.Benchmarks;

/// <summary>Runs the BenchmarkDotNet classes and puts their figures into the table.</summary>
internal static class KernelBenchmarks
{
    public const string Name = "kernels";

    private static readonly Type[] Classes =
        [typeof(RowBenchmarks), typeof(AttentionBenchmarks), typeof(MatVecBenchmarks), typeof(GroupedGemmBenchmarks)];

    public static void Run(BenchmarkRun run)
    {
        foreach (Type type in Classes)
        {
            Summary summary = BenchmarkRunner.Run(type, new BenchConfig(run.Quick));
            foreach (BenchmarkReport report in summary.Reports)
                Add(run, report);
        }
    }

    private static void Add(BenchmarkRun run, BenchmarkReport report)
    {
        if (report.ResultStatistics is not { } statistics)
            throw new InvalidOperationException($"{report.BenchmarkCase.DisplayInfo} gave no figures.");

        var descriptor = report.BenchmarkCase.Descriptor;
        string name = $"{descriptor.Type.Name}.{descriptor.WorkloadMethod.Name}";
        int threads = report.BenchmarkCase.Parameters.Items.Where(item => item.Name == "Threads")
            .Select(item => Convert.ToInt32(item.Value, CultureInfo.InvariantCulture)).FirstOrDefault(1);
        run.Add(Name, name, threads, "median time", statistics.Median / 1e3, "µs");
        if (descriptor.WorkloadMethod.GetCustomAttribute<TrafficAttribute>() is not { } traffic)
            return;
        if (traffic.Bytes > 0)
            run.Add(Name, name, threads, "rate", traffic.Bytes / statistics.Median, "GB/s");
        if (traffic.Flops > 0)
            run.Add(Name, name, threads, "rate", traffic.Flops / statistics.Median, "GFLOP/s");
    }
}
