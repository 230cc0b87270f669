using BenchmarkDotNet.Attributes;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks;

/// <summary>The kernels between the projections, over 512 rows of 2048 (a prefill block in the second-level cache and
/// beyond), one thread.</summary>
public unsafe class RowBenchmarks
{
    private const int Rows = 512;
    private const int Width = 2048;
    private const long Bytes = 4L * Rows * Width;

    private readonly NativeBuffer _x = NativeBuffer.Allocate(Bytes, "x");
    private readonly NativeBuffer _y = NativeBuffer.Allocate(Bytes, "y");
    private readonly NativeBuffer _weight = NativeBuffer.Allocate(4L * Width, "weight");
    private WorkerPool? _pool;

    private float* X => (float*)_x.Pointer;

    private float* Y => (float*)_y.Pointer;

    /// <summary>Fills the rows.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _pool = new WorkerPool(1);
        Random random = new(1);
        for (int i = 0; i < Rows * Width; i++)
            X[i] = (random.NextSingle() * 8) - 4;
        new Span<float>(_weight.Pointer, Width).Fill(1);
    }

    /// <summary>Ends the pool and frees the rows.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _pool!.Dispose();
        _x.Dispose();
        _y.Dispose();
        _weight.Dispose();
    }

    /// <summary>RMS norm with weights.</summary>
    [Benchmark]
    [Traffic(Bytes = 2 * Bytes)]
    public void RmsNorm() =>
        Norms.Rms(_pool!, X, Width, (float*)_weight.Pointer, 0, 1e-6f, Y, Width, Rows, Width);

    /// <summary>Softmax of every row.</summary>
    [Benchmark]
    [Traffic(Bytes = 2 * Bytes)]
    public void SoftmaxRows()
    {
        for (int row = 0; row < Rows; row++)
            Softmax.Row(X + (row * Width), Y + (row * Width), Width);
    }

    /// <summary>SiLU of every element.</summary>
    [Benchmark]
    [Traffic(Bytes = 2 * Bytes)]
    public void Silu() => Activations.Apply(Experts.ActivationKind.Silu, X, Y, Rows * Width);
}
