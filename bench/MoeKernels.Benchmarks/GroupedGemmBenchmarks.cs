using BenchmarkDotNet.Attributes;
using MoeKernels.Cpu;
using MoeKernels.Experts;

namespace MoeKernels.Benchmarks;

/// <summary>Experts of Qwen3-30B-A3B's shape with 32 tokens each (prefill of 512 tokens), beside ONNX Runtime's
/// MatMul.</summary>
/// <remarks>Ours reads bf16 weights; ONNX Runtime multiplies fp32 weights that it packed when the session was
/// created.</remarks>
public unsafe class GroupedGemmBenchmarks
{
    private const int Hidden = 2048;
    private const int Intermediate = 768;
    private const int Tokens = 32;

    // 96 matrices of 3 MiB in bf16: 32 experts of three matrices, 288 MiB.
    private const int Experts = 32;
    private const long MatrixFlops = 2L * Tokens * Hidden * Intermediate;
    private const long MatrixBytes = 2L * Hidden * Intermediate;

    /// <summary>Operations of one projection of all experts.</summary>
    internal const long ProjectionFlops = Experts * MatrixFlops;

    private readonly NativeBuffer _x = NativeBuffer.Allocate(4L * Experts * Tokens * Hidden, "x");
    private readonly NativeBuffer _a = NativeBuffer.Allocate(4L * Experts * Tokens * Hidden, "a");
    private readonly NativeBuffer _offsets = NativeBuffer.Allocate(4L * (Experts + 1), "offsets");
    private RotatingMatrices? _gateUp;
    private RotatingMatrices? _down;
    private OnnxMatMul? _onnxUp;
    private OnnxMatMul? _onnxDown;
    private WorkerPool? _pool;

    /// <summary>Threads of the pool and of ONNX Runtime.</summary>
    [Params(1, 2)]
    public int Threads { get; set; }

    /// <summary>Creates ours.</summary>
    [GlobalSetup(Targets = [nameof(GateUpSilu), nameof(Down)])]
    public void Setup()
    {
        _pool = new WorkerPool(Threads);
        _gateUp = new RotatingMatrices(WeightFormat.BF16, Intermediate, Hidden, 2 * Experts * MatrixBytes);
        _down = new RotatingMatrices(WeightFormat.BF16, Hidden, Intermediate, Experts * MatrixBytes);
        new Span<float>(_x.Pointer, Experts * Tokens * Hidden).Fill(0.01f);
        for (int e = 0; e <= Experts; e++)
            ((int*)_offsets.Pointer)[e] = e * Tokens;
    }

    /// <summary>Creates ONNX Runtime's sessions.</summary>
    [GlobalSetup(Targets = [nameof(OnnxRuntimeUp), nameof(OnnxRuntimeDown)])]
    public void SetupOnnx()
    {
        _onnxUp = new OnnxMatMul(Tokens, Hidden, Intermediate, Experts, Threads);
        _onnxDown = new OnnxMatMul(Tokens, Intermediate, Hidden, Experts, Threads);
    }

    /// <summary>Frees what the setup created.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _pool?.Dispose();
        _gateUp?.Dispose();
        _down?.Dispose();
        _onnxUp?.Dispose();
        _onnxDown?.Dispose();
    }

    /// <summary>Gate, up and activation of all experts.</summary>
    [Benchmark(Baseline = true)]
    [Traffic(Flops = 2 * Experts * MatrixFlops, Bytes = 2 * Experts * MatrixBytes)]
    public void GateUpSilu() => GroupedGemm.GateUp(
        _pool!, Activation.SiluGated, _gateUp!.Views, _gateUp.Views + Experts, null, null, Experts,
        (int*)_offsets.Pointer, (float*)_x.Pointer, Hidden, (float*)_a.Pointer, Intermediate);

    /// <summary>Down of all experts.</summary>
    [Benchmark]
    [Traffic(Flops = Experts * MatrixFlops, Bytes = Experts * MatrixBytes)]
    public void Down() => GroupedGemm.Down(
        _pool!, _down!.Views, null, Experts, (int*)_offsets.Pointer, (float*)_x.Pointer, Intermediate,
        (float*)_a.Pointer, Hidden);

    /// <summary>ONNX Runtime, one MatMul [32 × 2048] [2048 × 768] per expert.</summary>
    [Benchmark]
    [Traffic(Flops = Experts * MatrixFlops, Bytes = 2 * Experts * MatrixBytes)]
    public void OnnxRuntimeUp() => _onnxUp!.Run();

    /// <summary>ONNX Runtime, one MatMul [32 × 768] [768 × 2048] per expert.</summary>
    [Benchmark]
    [Traffic(Flops = Experts * MatrixFlops, Bytes = 2 * Experts * MatrixBytes)]
    public void OnnxRuntimeDown() => _onnxDown!.Run();
}
