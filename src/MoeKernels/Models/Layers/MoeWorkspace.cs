using MoeKernels.Cpu;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Layers;

/// <summary>Threads and scratch memory of layer calls. One call at a time; any number of layers may share it.</summary>
/// <remarks>It grows when a call needs more than it has; from then on calls allocate nothing, managed or
/// native.</remarks>
public sealed class MoeWorkspace : IDisposable
{
    private readonly WorkerPool _pool;
    private Workspace _memory;
    private int _busy;
    private bool _disposed;

    /// <summary>Starts the threads and reserves memory.</summary>
    /// <param name="bytes">Bytes to reserve, best the greatest <see cref="MoeLayer.GetWorkspaceSize"/> of the
    /// layers.</param>
    /// <param name="threads">Threads including the caller's; 0 for all processors.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is negative.</exception>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public MoeWorkspace(long bytes = 0, int threads = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        _memory = new Workspace(bytes / sizeof(float));
        _pool = new WorkerPool(threads);
    }

    /// <summary>Threads, the caller's included.</summary>
    public int Threads => _pool.Threads;

    /// <summary>Bytes reserved.</summary>
    public long Bytes => _memory.Bytes;

    /// <summary>Stops the threads and frees the memory; no call may be in progress.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;

        _disposed = true;
        _pool.Dispose();
        _memory.Dispose();
    }

    /// <summary>Takes the workspace for one call that needs up to <paramref name="floats"/>.</summary>
    /// <exception cref="InvalidOperationException">Another call is using it.</exception>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    internal Use Enter(long floats)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Interlocked.Exchange(ref _busy, 1) != 0)
            throw new InvalidOperationException("The workspace is in use by another call.");

        try
        {
            if (_memory.Bytes < floats * sizeof(float))
            {
                var larger = new Workspace(floats);
                _memory.Dispose();
                _memory = larger;
            }
        }
        catch
        {
            Volatile.Write(ref _busy, 0);
            throw;
        }

        return new Use(this);
    }

    /// <summary>The time of one call.</summary>
    internal readonly ref struct Use(MoeWorkspace owner)
    {
        public WorkerPool Pool => owner._pool;

        public Workspace Memory => owner._memory;

        public void Dispose()
        {
            owner._memory.Release(0);
            Volatile.Write(ref owner._busy, 0);
        }
    }
}
