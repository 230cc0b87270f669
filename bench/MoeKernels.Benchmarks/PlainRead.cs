using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks;

/// <summary>Reads bytes and does nothing else with them: the speed limit of every kernel that streams
/// weights.</summary>
/// <remarks>Four streams a quarter of a megabyte apart: the prefetchers stop at the end of a page, and one stream would
/// wait there with nothing else to do. That is up to 1.5 times as fast as one stream.</remarks>
internal unsafe struct PlainRead : IWork
{
    private const int ChunkBytes = 1 << 20;

    private byte* _memory;
    private long _bytes;
    private long _total;

    /// <summary>Reads everything once with all threads of the pool.</summary>
    public static long Run(WorkerPool pool, byte* memory, long bytes)
    {
        PlainRead work = new() { _memory = memory, _bytes = bytes };
        pool.Run(ref work, (int)((bytes + ChunkBytes - 1) / ChunkBytes));
        return work._total;
    }

    public void Execute(int begin, int end, int worker)
    {
        long first = (long)begin * ChunkBytes;
        Interlocked.Add(ref _total, Sum(_memory + first, Math.Min((long)end * ChunkBytes, _bytes) - first));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Sum(byte* memory, long bytes)
    {
        Vector512<long> a = default, b = default, c = default, d = default;
        for (; bytes > 0; memory += ChunkBytes, bytes -= ChunkBytes)
        {
            long quarter = Math.Min(bytes, ChunkBytes) / 4;
            for (byte* p = memory; p < memory + quarter; p += 64)
            {
                a += Vector512.Load((long*)p);
                b += Vector512.Load((long*)(p + quarter));
                c += Vector512.Load((long*)(p + (2 * quarter)));
                d += Vector512.Load((long*)(p + (3 * quarter)));
            }
        }

        return Vector512.Sum(a + b + c + d);
    }
}
