using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>A dense feed-forward network on a device: one expert that every row chooses.</summary>
internal sealed unsafe class DeviceFeedForward : DeviceLayer
{
    private readonly DeviceMoe _network;

    /// <summary>Copies the network.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceFeedForward(CudaDevice device, FeedForwardLayer layer)
    {
        const string What = "a feed-forward network";
        _network = Own(new DeviceMoe(device, null, new DeviceExperts(device, layer.Network, What), null, What));
    }

    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, ForwardBatch batch) =>
        DeviceQueue.Rounded(batch.Rows * (long)sizeof(int)) + _network.ScratchBytes(device, batch.Rows);

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        long mark = queue.Mark();
        int* ids = (int*)queue.TakeBytes(rows * (long)sizeof(int));
        queue.Clear(ids, rows * (long)sizeof(int));
        _network.Forward(queue, new DeviceMoeCall { Tokens = rows, X = x, Y = y, ForcedIds = ids });
        queue.Release(mark);
    }
}
