namespace MoeKernels.Cpu;

/// <summary>Deals numbered items out to workers: each has a share of neighbours and takes it from the front; who has
/// none left takes the back half of somebody else's.</summary>
/// <remarks>
/// Codes are one long stream in memory, and every jump costs prefetchers a start. One counter for all workers would
/// make each of them jump with every piece it takes. A view of memory that the caller provides.
/// </remarks>
internal readonly unsafe struct LookupQueue
{
    private const int LineBytes = 64;

    private readonly byte* _shares;
    private readonly int _workers;

    /// <summary>Deals out equal shares.</summary>
    /// <param name="memory"><see cref="ByteCount"/> bytes, aligned to 64.</param>
    /// <param name="workers">Number of workers.</param>
    /// <param name="items">Number of items.</param>
    public LookupQueue(byte* memory, int workers, int items)
    {
        _shares = memory;
        _workers = workers;
        for (int worker = 0; worker < workers; worker++)
        {
            int begin = (int)((long)items * worker / workers);
            *Share(worker) = Pack(begin, (int)((long)items * (worker + 1) / workers));
        }
    }

    /// <summary>Bytes of memory: a cache line for each worker.</summary>
    public static long ByteCount(int workers) => (long)workers * LineBytes;

    /// <summary>Looks at a worker's share, after taking from another one's where it is empty; false when there is
    /// nothing left.</summary>
    public bool TryPeek(int worker, out int begin, out int end)
    {
        Unpack(Volatile.Read(ref *Share(worker)), out begin, out end);
        return begin < end || TrySteal(worker, out begin, out end);
    }

    /// <summary>Takes the first items of a worker's share, unless somebody has changed it since it was seen.</summary>
    public bool TryTake(int worker, int begin, int end, int count)
    {
        long seen = Pack(begin, end);
        return Interlocked.CompareExchange(ref *Share(worker), Pack(begin + count, end), seen) == seen;
    }

    /// <summary>Items are handed out once, so a share never has the same value again: comparing is safe.</summary>
    private bool TrySteal(int worker, out int begin, out int end)
    {
        for (int i = 1; i < _workers; i++)
        {
            long* victim = Share((worker + i) % _workers);
            long seen = Volatile.Read(ref *victim);
            while (true)
            {
                Unpack(seen, out int first, out end);
                if (first >= end)
                    break;
                begin = first + ((end - first) / 2);
                long found = Interlocked.CompareExchange(ref *victim, Pack(first, begin), seen);
                if (found == seen)
                {
                    Volatile.Write(ref *Share(worker), Pack(begin, end));
                    return true;
                }

                seen = found;
            }
        }

        begin = end = 0;
        return false;
    }

    private long* Share(int worker) => (long*)(_shares + ((long)worker * LineBytes));

    private static long Pack(int begin, int end) => ((long)end << 32) | (uint)begin;

    private static void Unpack(long share, out int begin, out int end) =>
        (begin, end) = ((int)share, (int)(share >> 32));
}
