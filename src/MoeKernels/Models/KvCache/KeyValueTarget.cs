namespace MoeKernels.Models.KvCache;

/// <summary>Where a <see cref="KeyValueCache"/> keeps its positions, for workers that write them.</summary>
/// <param name="keys">Key of head 0 at position 0.</param>
/// <param name="values">Value of head 0 at position 0.</param>
/// <param name="headStride">Distance between two heads in floats.</param>
/// <param name="heads">Key/value heads.</param>
/// <param name="headDim">Elements of a head, and the distance between two positions.</param>
internal readonly unsafe struct KeyValueTarget(float* keys, float* values, nint headStride, int heads, int headDim)
{
    public int Heads => heads;

    public int HeadDim => headDim;

    /// <summary>Stores one position: k and v are [kv heads × head dim].</summary>
    public void Write(int position, float* k, float* v)
    {
        long bytes = (long)headDim * sizeof(float);
        nint offset = (nint)position * headDim;
        for (int head = 0; head < heads; head++)
        {
            Buffer.MemoryCopy(k + ((nint)head * headDim), keys + offset, bytes, bytes);
            Buffer.MemoryCopy(v + ((nint)head * headDim), values + offset, bytes, bytes);
            offset += headStride;
        }
    }
}
