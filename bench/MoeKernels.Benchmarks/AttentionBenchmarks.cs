using BenchmarkDotNet.Attributes;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks;

/// <summary>Attention of Qwen3-30B-A3B (32 heads of 128, 4 key/value heads) over a cache of 4096 positions.</summary>
public unsafe class AttentionBenchmarks
{
    private const int Heads = 32;
    private const int KvHeads = 4;
    private const int Dim = 128;
    private const int Positions = 4096;
    private const int Prefill = 256;

    // Products with keys and with values; the causal part that is skipped is counted out on average.
    private const long PrefillFlops = 4L * Heads * Dim * Prefill * (Positions - (Prefill / 2));
    private const long CacheBytes = 2L * 4 * KvHeads * Dim * Positions;

    private readonly NativeBuffer _q = NativeBuffer.Allocate(4L * Prefill * Heads * Dim, "q");
    private readonly NativeBuffer _y = NativeBuffer.Allocate(4L * Prefill * Heads * Dim, "y");
    private readonly NativeBuffer _k = NativeBuffer.Allocate(CacheBytes / 2, "k");
    private readonly NativeBuffer _v = NativeBuffer.Allocate(CacheBytes / 2, "v");
    private readonly NativeBuffer _ranges = NativeBuffer.Allocate(2L * 4 * Prefill, "ranges");
    private WorkerPool? _pool;

    /// <summary>Threads of the pool.</summary>
    [Params(1, 2)]
    public int Threads { get; set; }

    /// <summary>Fills the cache.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _pool = new WorkerPool(Threads);
        Random random = new(1);
        foreach (NativeBuffer buffer in (NativeBuffer[])[_q, _k, _v])
        {
            for (long i = 0; i < buffer.ByteLength / 4; i++)
                ((float*)buffer.Pointer)[i] = random.NextSingle() - 0.5f;
        }

        int* first = (int*)_ranges.Pointer;
        for (int row = 0; row < Prefill; row++)
        {
            first[row] = 0;
            first[Prefill + row] = Positions - Prefill + row;
        }
    }

    /// <summary>Ends the threads and frees the cache.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _pool!.Dispose();
        foreach (NativeBuffer buffer in (NativeBuffer[])[_q, _y, _k, _v, _ranges])
            buffer.Dispose();
    }

    /// <summary>One row over the whole cache.</summary>
    [Benchmark]
    [Traffic(Bytes = CacheBytes, Flops = 4L * Heads * Dim * Positions)]
    public void DecodeOneRow() => Run(1, Prefill - 1);

    /// <summary>256 rows, the last of the context.</summary>
    [Benchmark]
    [Traffic(Flops = PrefillFlops)]
    public void Prefill256Rows() => Run(Prefill, 0);

    private void Run(int rows, int firstRow)
    {
        int* first = (int*)_ranges.Pointer + firstRow;
        AttentionInput input = new()
        {
            Q = (float*)_q.Pointer,
            QStride = Heads * Dim,
            QHeadStride = Dim,
            K = (float*)_k.Pointer,
            KStride = KvHeads * Dim,
            KHeadStride = Dim,
            V = (float*)_v.Pointer,
            VStride = KvHeads * Dim,
            VHeadStride = Dim,
            Y = (float*)_y.Pointer,
            YStride = Heads * Dim,
            YHeadStride = Dim,
            Rows = rows,
            Heads = Heads,
            KvHeads = KvHeads,
            KeyDim = Dim,
            ValueDim = Dim,
            First = first,
            Last = first + Prefill,
            Scale = 0.088f,
        };
        Attention.Forward(_pool!, input);
    }
}
