namespace MoeKernels.Compression;

/// <summary>Working memory of one worker: a stack of blocks that grows once and is used again.</summary>
/// <remarks>Not thread-safe: every worker has its own.</remarks>
internal sealed unsafe class Scratch : IDisposable
{
    private const long Line = 64;
    private const long SmallestBlock = 4 << 20;

    private readonly List<NativeBuffer> _blocks = [];
    private int _block;
    private long _used;

    /// <summary>Bytes held, used or not.</summary>
    public long ByteLength => _blocks.Sum(block => block.ByteLength);

    /// <summary>Everything taken from here on is given back when the frame is disposed.</summary>
    public Frame Begin() => new(this);

    /// <summary>Takes numbers with undefined content, aligned to 64 bytes, until the frame ends.</summary>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public float* Floats(long count) => (float*)Bytes(count * sizeof(float));

    /// <summary>Takes numbers that are zero.</summary>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public float* Zeros(long count)
    {
        float* numbers = Floats(count);
        System.Runtime.InteropServices.NativeMemory.Clear(numbers, (nuint)(count * sizeof(float)));
        return numbers;
    }

    /// <summary>Takes bytes with undefined content, aligned to 64, until the frame ends.</summary>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public byte* Bytes(long count)
    {
        count = (count + Line - 1) / Line * Line;
        while (_block < _blocks.Count && _used + count > _blocks[_block].ByteLength)
            (_block, _used) = (_block + 1, 0);
        if (_block == _blocks.Count)
            _blocks.Add(NativeBuffer.Allocate(Math.Max(count, SmallestBlock), "the quantiser's working memory"));

        byte* bytes = _blocks[_block].Pointer + _used;
        _used += count;
        return bytes;
    }

    /// <summary>Frees all memory.</summary>
    public void Dispose()
    {
        _blocks.ForEach(block => block.Dispose());
        _blocks.Clear();
    }

    /// <summary>Marks how much was taken before.</summary>
    public readonly ref struct Frame(Scratch scratch)
    {
        private readonly int _block = scratch._block;
        private readonly long _used = scratch._used;

        /// <summary>Gives back what was taken since.</summary>
        public void Dispose() => (scratch._block, scratch._used) = (_block, _used);
    }
}
