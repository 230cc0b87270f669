using MoeKernels.Benchmarks.Models;
using MoeKernels.Benchmarks.Peers;

namespace MoeKernels.Benchmarks;

/// <summary>A part of the table that can be run alone.</summary>
/// <param name="Name">As <c>--only</c> and the table's headings name it.</param>
/// <param name="Summary">What it measures.</param>
/// <param name="Run">Adds its figures.</param>
internal sealed record Suite(string Name, string Summary, Action<BenchmarkRun, BenchmarkOptions> Run)
{
    /// <summary>In the order of the table.</summary>
    public static IReadOnlyList<Suite> All { get; } =
    [
        new(MatVecComparison.Name, "one token times bf16 matrices beside a plain read", (run, _) =>
            MatVecComparison.Run(run)),
        new(CodebookComparison.Name, "codebook matrices beside a plain read and bf16", (run, _) =>
            CodebookComparison.Run(run)),
        new(QuantizeComparison.Name, "phases of quantising a matrix on one core", (run, _) =>
            QuantizeComparison.Run(run)),
        new(GroupedGemmComparison.Name, "32 tokens an expert beside ONNX Runtime's MatMul", (run, _) =>
            GroupedGemmComparison.Run(run)),
        new(LlamaCppBenchmark.Name, "experts of a layer beside llama.cpp's mixture-of-experts product", (run, _) =>
            LlamaCppBenchmark.Run(run)),
        new(WholeModelBenchmark.Name, "a generated model from load to decode", WholeModelBenchmark.Run),
        new(CompressedComparison.Name, "a compressed model beside bf16 and llama.cpp", (run, options) =>
            new CompressedComparison(run, options).Run()),
        new(KernelBenchmarks.Name, "single kernels with BenchmarkDotNet", (run, _) => KernelBenchmarks.Run(run)),
    ];
}
