using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>One sublayer on a device, the twin of a host <see cref="Layers.Layer"/>. Immutable and shared by all
/// sequences.</summary>
internal abstract unsafe class DeviceLayer : IDisposable
{
    private readonly List<IDisposable> _owned = [];

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
    public void Dispose() => _owned.ForEach(owned => owned.Dispose());

    /// <summary>Disposes a part with the layer.</summary>
    protected T Own<T>(T part)
        where T : IDisposable
    {
        _owned.Add(part);
        return part;
    }

    /// <summary>Copies a linear layer to the device.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    protected DeviceMatrix Place(CudaDevice device, in LinearWeights weights, string what) =>
        Own(new DeviceMatrix(device, weights.Matrix, weights.Bias, what));
}
