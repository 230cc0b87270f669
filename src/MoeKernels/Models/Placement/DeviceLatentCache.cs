using MoeKernels.Cuda;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Placement;

/// <summary>The latents of one MLA layer on a device, as <see cref="LatentCache"/> has them: [positions × (rank +
/// rotary)], keys and values of every head.</summary>
internal sealed unsafe class DeviceLatentCache : LayerState
{
    private readonly CudaDevice _device;
    private readonly DeviceArray _memory;
    private readonly int _width;

    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceLatentCache(CudaDevice device, int width, int contextLength)
    {
        (_device, _width) = (device, width);
        _memory = new DeviceArray(device, LatentCache.Bytes(width, contextLength), "the latent KV cache");
    }

    /// <summary>The row of position 0.</summary>
    public float* Rows => _memory.Floats;

    /// <summary>Stores contiguous rows on the device from <paramref name="position"/> on.</summary>
    public void Store(DeviceQueue queue, int position, int count, float* rows) =>
        queue.Copy(Rows + ((long)position * _width), rows, LatentCache.Bytes(_width, count));

    /// <inheritdoc/>
    public override void CopyFrom(LayerState source, int positions)
    {
        using DeviceQueue queue = new(_device);
        Store(queue, 0, positions, ((DeviceLatentCache)source).Rows);
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
