using MoeKernels.Cuda;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Placement;

/// <summary>One sublayer on a device, the twin of a host <see cref="Layers.Layer"/>. Immutable and shared by all
/// sequences.</summary>
internal abstract unsafe class DeviceLayer : IDisposable
{
    /// <summary>Most bytes of the queue's scratch memory that a call takes at a time.</summary>
    /// <param name="device">The device.</param>
    /// <param name="batch">The rows and their sequences.</param>
    public abstract long ScratchBytes(CudaDevice device, ForwardBatch batch);

    /// <summary>Queues <c>y = layer(x)</c> for all rows of the batch.</summary>
    /// <param name="context">The batch, and threads for what runs on the host.</param>
    /// <param name="queue">The queue and its scratch memory.</param>
    /// <param name="x">Normalised input, [rows × hidden], on the device.</param>
    /// <param name="y">Receives the result before the residual is added, [rows × hidden], on the device.</param>
    public abstract void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y);

    /// <inheritdoc/>
    public abstract void Dispose();
}
