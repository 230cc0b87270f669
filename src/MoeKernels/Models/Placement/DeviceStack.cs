using MoeKernels.Cuda;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Placement;

/// <summary>A sublayer on a device: <c>h += layer(norm(h))</c>.</summary>
internal sealed record DeviceSublayer(DeviceNorm Norm, DeviceLayer Layer);

/// <summary>A stack whose residual stream stays on a device from the first block to the last norm.</summary>
/// <param name="device">The device.</param>
/// <param name="tracePrefix">As of the host's stack.</param>
/// <param name="blocks">The sublayers of each block.</param>
/// <param name="finalNorm">The last norm.</param>
/// <param name="hidden">Columns of the residual stream.</param>
internal sealed unsafe class DeviceStack(
    CudaDevice device, string tracePrefix, DeviceSublayer[][] blocks, DeviceNorm finalNorm, int hidden)
    : IStack
{
    /// <inheritdoc/>
    public void Forward(ForwardContext context, float* residual)
    {
        int rows = context.Batch.Rows;
        long floats = (long)rows * hidden;
        DeviceQueue queue = context.Queue(device);
        queue.Reserve((3 * DeviceQueue.RoundedFloats(floats)) + LargestLayer(context.Batch));
        long mark = queue.Mark();
        try
        {
            float* stream = queue.Take(floats);
            float* normalized = queue.Take(floats);
            float* result = queue.Take(floats);
            queue.CopyIn(stream, residual, floats * sizeof(float));
            for (int i = 0; i < blocks.Length; i++)
            {
                TraceHidden(context, queue, i, stream, residual);
                foreach (DeviceSublayer sublayer in blocks[i])
                {
                    context.Cancellation.ThrowIfCancellationRequested();
                    sublayer.Norm.Forward(queue, stream, normalized, rows);
                    sublayer.Layer.Forward(context, queue, normalized, result);
                    DeviceOps.Add(queue, stream, result, floats);
                }
            }

            finalNorm.Forward(queue, stream, stream, rows);
            queue.CopyOut(residual, stream, floats * sizeof(float));
            queue.Synchronize();
            TraceHidden(context, queue, blocks.Length, stream, residual);
        }
        finally
        {
            queue.Release(mark);
        }
    }

    private long LargestLayer(ForwardBatch batch) => blocks.Max(
        block => block.Max(sublayer => sublayer.Layer.ScratchBytes(device, batch)));

    private void TraceHidden(ForwardContext context, DeviceQueue queue, int index, float* stream, float* host)
    {
        if (context.Trace is not { WantsHidden: true } trace)
            return;

        int rows = context.Batch.Rows;
        queue.CopyOut(host, stream, (long)rows * hidden * sizeof(float));
        queue.Synchronize();
        ReadOnlySpan<float> values = new(host, checked(rows * hidden));
        trace.Record($"{tracePrefix}hidden.{index}", values, rows, hidden);
    }
}
