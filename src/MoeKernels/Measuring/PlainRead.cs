using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MoeKernels.Cpu;

namespace MoeKernels.Measuring;

/// <summary>Reads bytes and does nothing else with them: the speed limit of every kernel that streams
/// weights.</summary>
/// <remarks>In one stream a thread: a loop over the bytes. In four streams a quarter of a megabyte apart: prefetchers
/// stop at the end of a page, where one stream waits with nothing else to do; that is up to 1.5 times as
/// fast.</remarks>
internal unsafe struct PlainRead : IWork
{
    private const int ChunkBytes = 1 << 20;

    private byte* _memory;
    private long _bytes;
    private long _total;
    private bool _streams;

    /// <summary>Reads everything once, each thread in one stream.</summary>
    public static long Run(WorkerPool pool, byte* memory, long bytes) => Run(pool, memory, bytes, streams: false);

    /// <summary>Reads everything once, each thread in four streams: the fastest way known.</summary>
    public static long RunStreams(WorkerPool pool, byte* memory, long bytes) => Run(pool, memory, bytes, streams: true);

    private static long Run(WorkerPool pool, byte* memory, long bytes, bool streams)
    {
        PlainRead work = new() { _memory = memory, _bytes = bytes, _streams = streams };
        pool.Run(ref work, (int)((bytes + ChunkBytes - 1) / ChunkBytes));
        return work._total;
    }

    public void Execute(int begin, int end, int worker)
    {
        long first = (long)begin * ChunkBytes;
        long bytes = Math.Min((long)end * ChunkBytes, _bytes) - first;
        Interlocked.Add(ref _total, _streams ? SumStreams(_memory + first, bytes) : Sum(_memory + first, bytes));
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long SumStreams(byte* memory, long bytes)
    {
        Vector512<long> a = default, b = default, c = default, d = default;
        for (; bytes > 0; memory += ChunkBytes, bytes -= ChunkBytes)
        {
            // Whole vectors only: nothing behind the last byte is touched.
            long quarter = (Math.Min(bytes, ChunkBytes) / 4) & ~63;
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
