using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>An encoder's self-attention on a device: the steps of <see cref="EncoderAttentionLayer"/>.</summary>
/// <param name="device">The device.</param>
/// <param name="layer">The host's layer, whose weights are copied.</param>
/// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
internal sealed unsafe class DeviceEncoderAttention(CudaDevice device, EncoderAttentionLayer layer)
    : DeviceAttentionBase(device, layer.Spec, layer.Weights, layer.Bias)
{
    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, ForwardBatch batch) =>
        base.ScratchBytes(device, batch)
        + (2 * DeviceQueue.RoundedFloats((long)batch.Rows * KeyWidth))
        + DeviceQueue.Rounded((long)batch.Rows * sizeof(int));

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        long mark = queue.Mark();
        float* q = queue.Take((long)rows * Width);
        float* k = queue.Take((long)rows * KeyWidth);
        float* v = queue.Take((long)rows * KeyWidth);
        float* attended = queue.Take((long)rows * Width);
        Project(queue, Query, x, rows, q);
        Project(queue, Key, x, rows, k);
        Value.Forward(queue, x, rows, v);
        DeviceRanges ranges = PutRanges(context, queue);
        int* mask = context.Batch.Mask.IsEmpty ? null : queue.Put(context.Batch.Mask);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            long first = sequence.FirstRow * (long)KeyWidth;
            Attend(queue, ranges, sequence, new DeviceSource
            {
                Keys = k + first,
                Values = v + first,
                Positions = sequence.Rows,
                Mask = mask == null ? null : mask + sequence.FirstRow,
            }, q, attended);
        }

        Output.Forward(queue, attended, rows, y);
        queue.Release(mark);
    }

    /// <inheritdoc/>
    protected override int PositionsOf(in SequenceRows sequence) => sequence.Rows;

    /// <inheritdoc/>
    protected override RowRange RangeOf(in SequenceRows sequence, int row) =>
        new(sequence.Mask!.First, sequence.Mask.Last, row);
}
