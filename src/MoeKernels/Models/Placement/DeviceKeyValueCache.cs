using MoeKernels.Cuda;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Placement;

/// <summary>Keys and values of one attention layer on a device, each [positions × width]: a call's rows are stored with
/// one copy.</summary>
internal sealed unsafe class DeviceKeyValueCache : LayerState
{
    private readonly CudaDevice _device;
    private readonly DeviceArray _memory;
    private readonly int _keyWidth;
    private readonly int _valueWidth;
    private readonly int _contextLength;

    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceKeyValueCache(CudaDevice device, int keyWidth, int valueWidth, int contextLength)
    {
        (_device, _keyWidth, _valueWidth, _contextLength) = (device, keyWidth, valueWidth, contextLength);
        _memory = new DeviceArray(
            device, (long)contextLength * (keyWidth + valueWidth) * sizeof(float), "the KV cache");
    }

    /// <summary>[positions × key width].</summary>
    public float* Keys => _memory.Floats;

    /// <summary>[positions × value width].</summary>
    public float* Values => Keys + ((long)_contextLength * _keyWidth);

    /// <summary>Stores rows from <paramref name="position"/> on; k and v are contiguous rows on the device.</summary>
    public void Store(DeviceQueue queue, int position, int rows, float* k, float* v)
    {
        queue.Copy(Keys + ((long)position * _keyWidth), k, (long)rows * _keyWidth * sizeof(float));
        queue.Copy(Values + ((long)position * _valueWidth), v, (long)rows * _valueWidth * sizeof(float));
    }

    /// <inheritdoc/>
    public override void CopyFrom(LayerState source, int positions)
    {
        var other = (DeviceKeyValueCache)source;
        using DeviceQueue queue = new(_device);
        Store(queue, 0, positions, other.Keys, other.Values);
        queue.Synchronize();
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        // Positions are overwritten before they are read.
    }

    /// <inheritdoc/>
    public override void Dispose() => _memory.Dispose();
}
