namespace MoeKernels.Formats;

/// <summary>Makes the pages of tensors resident with several threads.</summary>
/// <remarks>
/// Why pieces and threads: a page fault reads 128 KiB and waits for it, which leaves a disk idle in between. A piece is
/// requested as a whole before its pages are mapped, and each thread has one under way.
/// </remarks>
internal sealed unsafe class Prefetch
{
    private const long PieceBytes = 8 << 20;

    /// <summary>Beyond this the page table lock and the disk's queue are the limit.</summary>
    private const int MaxThreads = 8;

    private readonly Piece[] _pieces;
    private readonly long _totalBytes;
    private readonly IProgress<LoadProgress>? _progress;
    private readonly Lock _reporting = new();
    private long _readBytes;
    private int _next = -1;

    internal Prefetch(IEnumerable<Tensor> tensors, IProgress<LoadProgress>? progress)
    {
        _progress = progress;
        _pieces = [.. tensors
            .OrderBy(tensor => tensor.FilePath, StringComparer.Ordinal)
            .ThenBy(tensor => tensor.Info.Offset)
            .SelectMany(Split)];
        _totalBytes = _pieces.Sum(piece => piece.Bytes);
    }

    /// <summary>Reads everything, each thread under its own lease on the mappings.</summary>
    internal Task RunAsync(Lifetime mappings, CancellationToken cancellationToken)
    {
        int threads = Math.Min(Math.Min(Environment.ProcessorCount, MaxThreads), _pieces.Length);
        return Task.WhenAll(Enumerable.Range(0, threads).Select(_ => Task.Run(() => Work(mappings, cancellationToken))));
    }

    /// <summary>Takes pieces in the order of the file, so that a rotating disk or network file system streams.</summary>
    private void Work(Lifetime mappings, CancellationToken cancellationToken)
    {
        using Lifetime.Lease lease = mappings.Acquire();
        for (int i; (i = Interlocked.Increment(ref _next)) < _pieces.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                Read(_pieces[i]);
            }
            catch
            {
                // The other threads find nothing left to do.
                Interlocked.Exchange(ref _next, _pieces.Length);
                throw;
            }

            Report(_pieces[i].Bytes);
        }
    }

    private static IEnumerable<Piece> Split(Tensor tensor)
    {
        for (long offset = 0; offset < tensor.ByteLength; offset += PieceBytes)
            yield return new Piece(tensor, offset, Math.Min(PieceBytes, tensor.ByteLength - offset));
    }

    private static void Read(Piece piece)
    {
        long page = Environment.SystemPageSize;
        byte* first = piece.Tensor.Data + piece.Offset;
        nint start = (nint)first & ~((nint)page - 1);
        long bytes = (nint)first + (nint)piece.Bytes - start;
        LinuxMemory.StartReading(start, bytes);
        switch (LinuxMemory.Populate(start, bytes))
        {
            case LinuxMemory.Populated.Unreadable:
                throw piece.Tensor.Error("the data cannot be read: a disk error, or the file was cut after opening");
            case LinuxMemory.Populated.NotSupported:
                for (long i = 0; i < bytes; i += page)
                    Volatile.Read(ref *(byte*)(start + (nint)i));
                break;
        }
    }

    private void Report(long bytes)
    {
        if (_progress is null)
            return;

        lock (_reporting)
        {
            _readBytes += bytes;
            _progress.Report(new LoadProgress(_readBytes, _totalBytes));
        }
    }

    /// <summary>Part of a tensor.</summary>
    private readonly record struct Piece(Tensor Tensor, long Offset, long Bytes);
}
