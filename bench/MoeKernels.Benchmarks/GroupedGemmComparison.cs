using MoeKernels.Benchmarks.Reporting;

namespace MoeKernels.Benchmarks;

/// <summary>The grouped products of <see cref="GroupedGemmBenchmarks"/> beside ONNX Runtime's MatMul, in
/// turn.</summary>
internal static class GroupedGemmComparison
{
    public const string Name = "gemm";

    /// <summary>GFLOP/s of one core; fp32 multiply-add at 512 bits gives 114 on the machine of the committed
    /// table.</summary>
    private const double PerCore = 85;

    public static void Run(BenchmarkRun run)
    {
        run.Note(
            "ONNX Runtime multiplies fp32 weights that it packed when the session was created; ours are bf16 as "
            + "stored.");
        foreach (int threads in run.ThreadCounts)
        {
            GroupedGemmBenchmarks shapes = new() { Threads = threads };
            shapes.Setup();
            shapes.SetupOnnx();
            Compare(run, threads, "2048→768", 1, shapes.OnnxRuntimeUp, 2, shapes.GateUpSilu);
            Compare(run, threads, "768→2048", 1, shapes.OnnxRuntimeDown, 1, shapes.Down);
            shapes.Cleanup();
        }
    }

    private static void Compare(
        BenchmarkRun run, int threads, string shape, int onnxProjections, Action onnx, int ownProjections, Action own)
    {
        string name = $"32 tokens an expert, {shape}";
        double flops = GroupedGemmBenchmarks.ProjectionFlops / 1e9;
        var times = Interleaved.Measure(run.Quick ? 3 : 11, threads, onnx, own);
        double ownRate = ownProjections * flops / times[1].Seconds;
        double ratio = times[1].Ratio * ownProjections / onnxProjections;
        run.Add(
            Name, name, threads, "ONNX Runtime MatMul, fp32", onnxProjections * flops / times[0].Seconds, "GFLOP/s");
        run.Add(Name, name, threads, "MoeKernels, bf16 weights", ownRate, "GFLOP/s");
        run.Add(Name, name, threads, "MoeKernels per core", ownRate / threads, "GFLOP/s", Target.AtLeast(PerCore));
        run.Add(Name, name, threads, "MoeKernels / ONNX Runtime", ratio, string.Empty);
    }
}
