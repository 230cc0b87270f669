namespace MoeKernels.Models.KvCache;

/// <summary>Keys and values of one attention layer in fp32, each [kv heads × positions × head dim].</summary>
/// <remarks>A head's positions are contiguous, so that attention streams them. The whole context is reserved at once;
/// the system gives the pages as positions are written.</remarks>
internal sealed unsafe class KeyValueCache : LayerState
{
    private readonly NativeBuffer _buffer;
    private readonly int _heads;
    private readonly int _headDim;
    private readonly int _contextLength;

    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public KeyValueCache(int heads, int headDim, int contextLength)
    {
        (_heads, _headDim, _contextLength) = (heads, headDim, contextLength);
        _buffer = NativeBuffer.Allocate(Bytes(heads, headDim, contextLength), "the KV cache");
    }

    /// <summary>Key of head 0 at position 0.</summary>
    public float* Keys => (float*)_buffer.Pointer;

    /// <summary>Value of head 0 at position 0.</summary>
    public float* Values => Keys + (_heads * HeadStride);

    /// <summary>Distance between two positions in floats.</summary>
    public nint PositionStride => _headDim;

    /// <summary>Distance between two heads in floats.</summary>
    public nint HeadStride => (nint)_contextLength * _headDim;

    /// <summary>Bytes reserved for a context.</summary>
    public static long Bytes(int heads, int headDim, int contextLength) =>
        2L * heads * headDim * contextLength * sizeof(float);

    /// <summary>The memory, for workers that store positions.</summary>
    public KeyValueTarget Target => new(Keys, Values, HeadStride, _heads, _headDim);

    /// <inheritdoc/>
    public override void CopyFrom(LayerState source, int positions)
    {
        var other = (KeyValueCache)source;
        for (int head = 0; head < _heads; head++)
        {
            long floats = (long)positions * _headDim;
            Copy(other.Keys + (head * other.HeadStride), Keys + (head * HeadStride), floats);
            Copy(other.Values + (head * other.HeadStride), Values + (head * HeadStride), floats);
        }
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        // Positions are overwritten before they are read.
    }

    /// <inheritdoc/>
    public override void Dispose() => _buffer.Dispose();

    private static void Copy(float* source, float* target, long floats) =>
        Buffer.MemoryCopy(source, target, floats * sizeof(float), floats * sizeof(float));
}
