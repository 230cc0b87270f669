namespace MoeKernels.Models.KvCache;

/// <summary>The keys and values one cross-attention layer made of a sequence's encoder output, computed once per source
/// and read by every decoder step.</summary>
internal sealed class EncoderMemory(int heads, int headDim) : LayerState
{
    private KeyValueCache? _cache;

    /// <summary>Which source positions may be seen; null before the sequence was encoded.</summary>
    public SourceMask? Mask { get; private set; }

    /// <summary>Keys and values of the source.</summary>
    /// <exception cref="InvalidOperationException">The sequence has no source yet.</exception>
    public KeyValueCache Cache => Mask is null
        ? throw new InvalidOperationException("The sequence must be encoded before it is decoded.")
        : _cache!;

    /// <summary>Replaces the source.</summary>
    /// <param name="keys">[positions × heads × head dim].</param>
    /// <param name="values">[positions × heads × head dim].</param>
    /// <param name="mask">Its length and which of it may be seen.</param>
    public unsafe void Store(float* keys, float* values, SourceMask mask)
    {
        KeyValueTarget target = Renew(mask.Length).Target;
        nint width = (nint)heads * headDim;
        for (int position = 0; position < mask.Length; position++)
            target.Write(position, keys + (position * width), values + (position * width));
        Mask = mask;
    }

    /// <inheritdoc/>
    /// <remarks>The whole source belongs to every position, so it is copied whole.</remarks>
    public override void CopyFrom(LayerState source, int positions)
    {
        var other = (EncoderMemory)source;
        if (other.Mask is { } mask)
            Renew(mask.Length).CopyFrom(other.Cache, mask.Length);
        Mask = other.Mask;
    }

    /// <inheritdoc/>
    /// <remarks>Going back to the start of the decoder's sequence keeps its source.</remarks>
    public override void Reset()
    {
    }

    /// <inheritdoc/>
    public override void Dispose() => _cache?.Dispose();

    private KeyValueCache Renew(int length)
    {
        if (_cache is null || Mask?.Length != length)
        {
            _cache?.Dispose();
            _cache = null;
            Mask = null;
            _cache = new KeyValueCache(heads, headDim, length);
        }

        return _cache;
    }
}
