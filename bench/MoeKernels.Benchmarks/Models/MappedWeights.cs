using System.Runtime.InteropServices;
using MoeKernels.Cpu;
using MoeKernels.Formats;

namespace MoeKernels.Benchmarks.Models;

/// <summary>A plain read of weights in the model's file, mapped as the loader maps it: the rate at which decode would
/// get them if nothing were computed.</summary>
/// <remarks>Where the system permits it, the whole file is locked in memory. Systems that page out what has not been
/// touched for a while would otherwise take weights away from whoever is not being timed.</remarks>
internal sealed unsafe partial class MappedWeights : IDisposable
{
    private readonly SafetensorsFile _file;
    private readonly WorkerPool _pool;
    private readonly byte* _memory;

    /// <summary>Maps the file.</summary>
    /// <param name="path">Safetensors file.</param>
    /// <param name="tensor">Weights to read: larger than any cache, and such that decode reads them too, because a
    /// virtual machine serves pages that are touched often faster than others.</param>
    /// <param name="threads">Threads that read.</param>
    public MappedWeights(string path, string tensor, int threads)
    {
        _file = SafetensorsFile.Open(path);
        string stored = _file.Tensors.ContainsKey(tensor) ? tensor : tensor + ".codes";
        _memory = _file.DataPointer(_file.Tensors[stored]);
        Bytes = _file.Tensors[stored].ByteLength;
        _pool = new WorkerPool(threads);
        if (OperatingSystem.IsLinux())
            IsLocked = Lock(_file.Start, (nuint)_file.ByteLength) == 0;
    }

    /// <summary>Bytes of one read.</summary>
    public long Bytes { get; }

    /// <summary>Whether the system keeps the file in memory.</summary>
    public bool IsLocked { get; }

    /// <summary>Reads them all once.</summary>
    public void Read() => PlainRead.RunStreams(_pool, _memory, Bytes);

    public void Dispose()
    {
        _pool.Dispose();
        _file.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "mlock")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Lock(byte* address, nuint bytes);
}
