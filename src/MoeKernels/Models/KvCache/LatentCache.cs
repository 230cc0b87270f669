namespace MoeKernels.Models.KvCache;

/// <summary>The latents of one MLA layer in fp32, [positions × (rank + rotary)]: normalised latent, then rotated shared
/// key.</summary>
/// <remarks>It serves as keys (whole rows) and as values (their first rank elements) of every head.</remarks>
internal sealed unsafe class LatentCache : LayerState
{
    private readonly NativeBuffer _buffer;
    private readonly int _width;

    /// <summary>Reserves the whole context; the system gives the pages as positions are written.</summary>
    /// <param name="width">Floats of a position.</param>
    /// <param name="contextLength">Most positions.</param>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public LatentCache(int width, int contextLength)
    {
        _width = width;
        _buffer = NativeBuffer.Allocate(Bytes(width, contextLength), "the latent KV cache");
    }

    /// <summary>The row of position 0.</summary>
    public float* Rows => (float*)_buffer.Pointer;

    /// <summary>Bytes reserved for a context.</summary>
    public static long Bytes(int width, int contextLength) => (long)width * contextLength * sizeof(float);

    /// <summary>Stores consecutive positions: rows is [count × width].</summary>
    public void Write(int position, float* rows, int count) =>
        Copy(rows, Rows + ((nint)position * _width), count);

    /// <inheritdoc/>
    public override void CopyFrom(LayerState source, int positions) =>
        Copy(((LatentCache)source).Rows, Rows, positions);

    /// <inheritdoc/>
    public override void Reset()
    {
        // Positions are overwritten before they are read.
    }

    /// <inheritdoc/>
    public override void Dispose() => _buffer.Dispose();

    private void Copy(float* source, float* target, int count)
    {
        long bytes = Bytes(_width, count);
        Buffer.MemoryCopy(source, target, bytes, bytes);
    }
}
