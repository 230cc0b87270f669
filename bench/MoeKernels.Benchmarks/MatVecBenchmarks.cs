using BenchmarkDotNet.Attributes;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks;

/// <summary>One token times bf16 matrices (decode), beside a plain read of the same bytes.</summary>
public unsafe class MatVecBenchmarks
{
    private const int Long = 2048;
    private const int Short = 768;

    // 96 matrices of 3 MiB: more than any cache, and the same bytes for every method.
    private const long Bytes = 96L * Long * Short * 2;

    private readonly RotatingMatrices _up = new(WeightFormat.BF16, Short, Long);
    private readonly RotatingMatrices _down = new(WeightFormat.BF16, Long, Short);
    private readonly NativeBuffer _x = NativeBuffer.Allocate(Long * sizeof(float), "x");
    private readonly NativeBuffer _y = NativeBuffer.Allocate(Long * sizeof(float), "y");
    private WorkerPool? _pool;

    /// <summary>Threads of the pool.</summary>
    [Params(1, 2)]
    public int Threads { get; set; }

    /// <summary>Starts the threads.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _pool = new WorkerPool(Threads);
        new Span<float>(_x.Pointer, Long).Fill(0.5f);
    }

    /// <summary>Ends the threads and frees the matrices.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _pool!.Dispose();
        _up.Dispose();
        _down.Dispose();
        _x.Dispose();
        _y.Dispose();
    }

    /// <summary>The speed limit.</summary>
    [Benchmark(Baseline = true)]
    [Traffic(Bytes = Bytes)]
    public long PlainReadOfTheSameBytes() => PlainRead.Run(_pool!, _up.Memory, Bytes);

    /// <summary>gate or up of one Qwen3-30B-A3B expert.</summary>
    [Benchmark]
    [Traffic(Bytes = Bytes, Flops = Bytes)]
    public void Rows768Columns2048() => Run(_up, Short, Long);

    /// <summary>down of one Qwen3-30B-A3B expert.</summary>
    [Benchmark]
    [Traffic(Bytes = Bytes, Flops = Bytes)]
    public void Rows2048Columns768() => Run(_down, Long, Short);

    private void Run(RotatingMatrices matrices, int rows, int columns)
    {
        for (int i = 0; i < matrices.Count; i++)
        {
            Linear.Forward(
                _pool!, matrices.Views[i], null, (float*)_x.Pointer, columns, 1, (float*)_y.Pointer, rows);
        }
    }
}
