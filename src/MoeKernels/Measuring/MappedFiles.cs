using MoeKernels.Cpu;
using MoeKernels.Formats;

namespace MoeKernels.Measuring;

/// <summary>A plain read of weights in a model's files, mapped as the loader maps them: the rate at which decode would
/// get them if nothing were computed.</summary>
internal sealed unsafe class MappedFiles : IDisposable
{
    /// <summary>More than any cache holds; the rest of a large model adds nothing but time.</summary>
    private const long MaxBytes = 512L << 20;

    private readonly SafetensorsFile[] _files;
    private readonly WorkerPool _pool;

    private MappedFiles(SafetensorsFile[] files, int threads)
    {
        _files = files;
        _pool = new WorkerPool(threads);
        Bytes = Math.Min(files.Sum(file => file.ByteLength), MaxBytes);
    }

    /// <summary>Bytes of one read.</summary>
    public long Bytes { get; }

    /// <summary>Maps the files; null when they are no safetensors.</summary>
    public static MappedFiles? TryOpen(IReadOnlyList<string> paths, int threads)
    {
        if (paths.Count == 0 || !paths.All(path => path.EndsWith(".safetensors", StringComparison.Ordinal)))
        {
            return null;
        }

        List<SafetensorsFile> files = [];
        try
        {
            files.AddRange(paths.Select(SafetensorsFile.Open));
            return new MappedFiles([.. files], threads);
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    /// <summary>Reads them all once.</summary>
    public void Read()
    {
        long left = Bytes;
        foreach (var file in _files)
        {
            long bytes = Math.Min(left, file.ByteLength);
            PlainRead.RunStreams(_pool, file.Start, bytes);
            left -= bytes;
        }
    }

    public void Dispose()
    {
        _pool.Dispose();
        Array.ForEach(_files, file => file.Dispose());
    }
}
