using MoeKernels.Cuda;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Placement;

/// <summary>Brings the encoder's output to a device once for all of its cross-attention layers.</summary>
/// <param name="device">The device.</param>
/// <param name="layers">The layers.</param>
/// <param name="hidden">Columns of the encoder's output.</param>
internal sealed unsafe class DeviceEncoderReader(CudaDevice device, DeviceCrossAttention[] layers, int hidden)
    : IEncoderReader
{
    /// <inheritdoc/>
    public void Remember(ForwardContext context, float* encoded)
    {
        int rows = context.Batch.Rows;
        long floats = (long)rows * hidden;
        DeviceQueue queue = context.Queue(device);
        queue.Reserve(DeviceQueue.RoundedFloats(floats) + layers.Max(layer => layer.RememberScratchBytes(rows)));
        long mark = queue.Mark();
        try
        {
            float* copy = queue.Take(floats);
            queue.CopyIn(copy, encoded, floats * sizeof(float));
            foreach (DeviceCrossAttention layer in layers)
                layer.Remember(context, queue, copy);
            queue.Synchronize();
        }
        finally
        {
            queue.Release(mark);
        }
    }
}
