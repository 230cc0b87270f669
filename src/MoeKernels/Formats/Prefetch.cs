namespace MoeKernels.Formats;

/// <summary>Makes the pages of tensors resident with several threads.</summary>
/// <remarks>
/// Why pieces and threads: a page fault reads 128 KiB and waits for it, which leaves a disk idle in between. A piece is
/// requested as a whole before its pages are mapped, and each thread has one under way. Large pages are read as they
/// are mapped: a request would fill the cache with small ones. They count later, too: with small ones a token of a
/// compressed model spends a fifth of its time on TLB misses.
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
        _pieces = [.. Ranges(tensors).SelectMany(Split)];
        _totalBytes = _pieces.Sum(piece => piece.Bytes);
    }

    /// <summary>Reads everything, each thread under its own lease on the mappings.</summary>
    internal Task RunAsync(Lifetime mappings, CancellationToken cancellationToken)
    {
        int threads = Math.Min(Math.Min(Environment.ProcessorCount, MaxThreads), _pieces.Length);
        return Task.WhenAll(Enumerable.Repeat(() => Work(mappings, cancellationToken), threads).Select(Task.Run));
    }

    /// <summary>Takes pieces in the order of the file, so that a rotating disk streams.</summary>
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

    /// <summary>Joins neighbours, because a checkpoint has 10^5 tensors and most of them are small.</summary>
    private static List<Piece> Ranges(IEnumerable<Tensor> tensors)
    {
        var ranges = new List<Piece>();
        foreach (Tensor tensor in tensors
            .OrderBy(tensor => tensor.FilePath, StringComparer.Ordinal)
            .ThenBy(tensor => tensor.Info.Offset))
        {
            Piece last = ranges.Count > 0 ? ranges[^1] : default;
            if (last.File == tensor.File && last.Offset + last.Bytes == tensor.Info.Offset)
                ranges[^1] = last with { Bytes = last.Bytes + tensor.ByteLength };
            else
                ranges.Add(new Piece(tensor.File, tensor.Info.Offset, tensor.ByteLength));
        }

        return ranges;
    }

    private static IEnumerable<Piece> Split(Piece range)
    {
        for (long done = 0; done < range.Bytes; done += PieceBytes)
            yield return new Piece(range.File, range.Offset + done, Math.Min(PieceBytes, range.Bytes - done));
    }

    private static void Read(Piece piece)
    {
        long page = Environment.SystemPageSize;
        nint first = (nint)(piece.File.Start + piece.Offset);
        nint start = first & ~((nint)page - 1);
        long bytes = first + (nint)piece.Bytes - start;
        if (!piece.File.HasHugePages)
            LinuxMemory.StartReading(start, bytes);
        switch (LinuxMemory.Populate(start, bytes))
        {
            case LinuxMemory.Populated.Unreadable:
                throw new MoeFormatException(
                    piece.File.Path,
                    null,
                    $"the bytes {piece.Offset} to {piece.Offset + piece.Bytes} cannot be read: a disk error, "
                    + "or the file was cut after opening");
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

    /// <summary>Part of a file.</summary>
    private readonly record struct Piece(SafetensorsFile File, long Offset, long Bytes);
}
