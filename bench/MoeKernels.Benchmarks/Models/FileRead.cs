using System.IO.MemoryMappedFiles;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks.Models;

/// <summary>A plain read of a mapped file: what decode's weights could be read at if nothing were computed.</summary>
internal static unsafe class FileRead
{
    private const long MaxBytes = 2L << 30;
    private const int Rounds = 7;

    /// <summary>Median rate of reading the first bytes of a file that is in the page cache.</summary>
    public static double GigabytesPerSecond(string file, int threads)
    {
        long bytes = Math.Min(new FileInfo(file).Length, MaxBytes);
        using var map = MemoryMappedFile.CreateFromFile(file, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        using var view = map.CreateViewAccessor(0, bytes, MemoryMappedFileAccess.Read);
        byte* memory = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref memory);
        try
        {
            using WorkerPool pool = new(threads);
            return bytes / 1e9 / Interleaved.Measure(Rounds, () => PlainRead.Run(pool, memory, bytes))[0].Seconds;
        }
        finally
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
        }
    }
}
