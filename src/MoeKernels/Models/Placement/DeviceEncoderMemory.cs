using MoeKernels.Cuda;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Placement;

/// <summary>The keys and values one cross-attention layer made of a sequence's encoder output, on a device.</summary>
/// <param name="device">The device.</param>
/// <param name="width">Floats of a position's keys, and of its values.</param>
internal sealed unsafe class DeviceEncoderMemory(CudaDevice device, int width) : LayerState
{
    private DeviceKeyValueCache? _cache;
    private DeviceArray? _visible;
    private SourceMask? _mask;

    /// <summary>The source's length and which positions of it may be seen.</summary>
    /// <exception cref="InvalidOperationException">The sequence has no source yet.</exception>
    public SourceMask Mask =>
        _mask ?? throw new InvalidOperationException("The sequence must be encoded before it is decoded.");

    /// <summary>Keys and values of the source.</summary>
    /// <exception cref="InvalidOperationException">The sequence has no source yet.</exception>
    public DeviceSource Source => new()
    {
        Positions = Mask.Length,
        Keys = _cache!.Keys,
        Values = _cache.Values,
        Mask = Mask.HasHoles ? (int*)_visible!.Floats : null,
    };

    /// <summary>Replaces the source.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="keys">[positions × width], on the device.</param>
    /// <param name="values">[positions × width], on the device.</param>
    /// <param name="mask">Its length and which of it may be seen.</param>
    /// <exception cref="MoeOutOfMemoryException">The device has no room; the sequence has no source then.</exception>
    public void Store(DeviceQueue queue, float* keys, float* values, SourceMask mask)
    {
        Renew(mask.Length).Store(queue, 0, mask.Length, keys, values);
        if (mask.HasHoles)
            StoreVisible(queue, mask);
        _mask = mask;
    }

    /// <inheritdoc/>
    /// <remarks>The whole source belongs to every position, so it is copied whole.</remarks>
    public override void CopyFrom(LayerState source, int positions)
    {
        var other = (DeviceEncoderMemory)source;
        if (other._mask is { } mask)
        {
            using DeviceQueue queue = new(device);
            Store(queue, other._cache!.Keys, other._cache.Values, mask);
            queue.Synchronize();
        }

        _mask = other._mask;
    }

    /// <inheritdoc/>
    /// <remarks>Going back to the start of the decoder's sequence keeps its source.</remarks>
    public override void Reset()
    {
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _cache?.Dispose();
        _visible?.Dispose();
    }

    private DeviceKeyValueCache Renew(int length)
    {
        if (_cache is not null && _mask?.Length == length)
            return _cache;

        Dispose();
        (_cache, _visible, _mask) = (null, null, null);
        return _cache = new DeviceKeyValueCache(device, width, width, length);
    }

    private void StoreVisible(DeviceQueue queue, SourceMask mask)
    {
        int[] visible = [.. Enumerable.Range(0, mask.Length).Select(p => mask.IsVisible(p) ? 1 : 0)];
        long bytes = (long)visible.Length * sizeof(int);
        _visible ??= new DeviceArray(device, bytes, "the mask of a source");
        fixed (int* values = visible)
            queue.CopyIn(_visible.Floats, values, bytes);
    }
}
