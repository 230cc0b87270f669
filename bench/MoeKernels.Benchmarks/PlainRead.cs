using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks;

/// <summary>Reads bytes and does nothing else with them: the speed limit of every kernel that streams
/// weights.</summary>
internal unsafe struct PlainRead : IWork
{
    private const int ChunkBytes = 64 << 10;

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
        for (long i = 0; i <= bytes - 256; i += 256)
        {
            a += Vector512.Load((long*)(memory + i));
            b += Vector512.Load((long*)(memory + i + 64));
            c += Vector512.Load((long*)(memory + i + 128));
            d += Vector512.Load((long*)(memory + i + 192));
        }

        return Vector512.Sum(a + b + c + d);
    }
}
