using System.IO.MemoryMappedFiles;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks.Models;

/// <summary>A plain read of the model's file, mapped as the loader maps it: the rate at which decode would get its
/// weights if nothing were computed.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private const long MaxBytes = 2L << 30;

    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly WorkerPool _pool;
    private readonly byte* _memory;

    /// <summary>Maps the first bytes of a file.</summary>
    public MappedFile(string path, int threads)
    {
        Bytes = Math.Min(new FileInfo(path).Length, MaxBytes);
        _map = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        _view = _map.CreateViewAccessor(0, Bytes, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _memory);
        _pool = new WorkerPool(threads);
    }

    /// <summary>Bytes of one read.</summary>
    public long Bytes { get; }

    /// <summary>Reads them all once.</summary>
    public void Read() => PlainRead.Run(_pool, _memory, Bytes);

    public void Dispose()
    {
        _pool.Dispose();
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }
}
