namespace MoeKernels.Cpu;

/// <summary>Native memory that calls borrow while they run. It grows to what they ask for and is kept, so that a warm
/// call allocates nothing; calls of several sessions get memory of their own.</summary>
internal sealed unsafe class ScratchPool : IDisposable
{
    private const string What = "the lookup tables of a call";

    private readonly List<NativeBuffer> _free = new(8);
    private bool _disposed;

    /// <summary>Bytes of the buffers that nobody is using.</summary>
    public long FreeBytes
    {
        get
        {
            lock (_free)
                return _free.Sum(buffer => buffer.ByteLength);
        }
    }

    /// <summary>Lends memory aligned to 64 bytes, with undefined content.</summary>
    /// <param name="bytes">At least so many, 0 allowed.</param>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public Lease Rent(long bytes) => new(this, Take(bytes) ?? NativeBuffer.Allocate(bytes, What));

    /// <summary>Frees what is not lent; what is, follows when it comes back.</summary>
    public void Dispose()
    {
        lock (_free)
        {
            _disposed = true;
            foreach (NativeBuffer buffer in _free)
                buffer.Dispose();
            _free.Clear();
        }
    }

    /// <summary>The smallest buffer that is large enough. Where there is none, the largest one makes way for the one
    /// that the caller allocates.</summary>
    private NativeBuffer? Take(long bytes)
    {
        lock (_free)
        {
            int best = -1;
            for (int i = 0; i < _free.Count; i++)
            {
                if (best < 0 || IsBetter(_free[i].ByteLength, _free[best].ByteLength, bytes))
                    best = i;
            }

            if (best < 0)
                return null;
            NativeBuffer buffer = _free[best];
            _free.RemoveAt(best);
            if (buffer.ByteLength >= bytes)
                return buffer;
            buffer.Dispose();
            return null;
        }
    }

    private static bool IsBetter(long candidate, long best, long bytes) =>
        best >= bytes ? candidate >= bytes && candidate < best : candidate > best;

    private void Return(NativeBuffer buffer)
    {
        lock (_free)
        {
            if (_disposed)
                buffer.Dispose();
            else
                _free.Add(buffer);
        }
    }

    /// <summary>The time for which memory is lent.</summary>
    public readonly ref struct Lease(ScratchPool pool, NativeBuffer buffer)
    {
        /// <summary>First byte.</summary>
        public byte* Pointer { get; } = buffer.Pointer;

        /// <summary>Gives the memory back.</summary>
        public void Dispose() => pool.Return(buffer);
    }
}
