using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>A decoder's attention to the encoder's output on a device: the steps of
/// <see cref="CrossAttentionLayer"/>.</summary>
/// <param name="device">The device.</param>
/// <param name="layer">The host's layer, whose weights are copied.</param>
/// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
internal sealed unsafe class DeviceCrossAttention(CudaDevice device, CrossAttentionLayer layer)
    : DeviceAttentionBase(device, layer.Spec, layer.Weights, bias: null), IStateful
{
    /// <inheritdoc/>
    public int StateIndex { get; set; } = layer.StateIndex;

    /// <inheritdoc/>
    public LayerState CreateState(int contextLength) => new DeviceEncoderMemory(Device, KeyWidth);

    /// <summary>Scratch bytes of <see cref="Remember"/>.</summary>
    public long RememberScratchBytes(int rows) =>
        (2 * DeviceQueue.RoundedFloats((long)rows * KeyWidth))
        + Math.Max(Key.ScratchBytes(Device, rows), Value.ScratchBytes(Device, rows));

    /// <summary>Projects the encoder's output to keys and values and keeps them in each sequence.</summary>
    /// <param name="context">The encoder's batch.</param>
    /// <param name="queue">The queue and its scratch memory.</param>
    /// <param name="encoded">The encoder's normalised output, [rows × hidden], on the device.</param>
    public void Remember(ForwardContext context, DeviceQueue queue, float* encoded)
    {
        int rows = context.Batch.Rows;
        long mark = queue.Mark();
        float* k = queue.Take((long)rows * KeyWidth);
        float* v = queue.Take((long)rows * KeyWidth);
        Project(queue, Key, encoded, rows, k);
        Value.Forward(queue, encoded, rows, v);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            long first = sequence.FirstRow * (long)KeyWidth;
            MemoryOf(sequence).Store(queue, k + first, v + first, sequence.Mask!);
        }

        queue.Release(mark);
    }

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        long mark = queue.Mark();
        float* q = queue.Take((long)rows * Width);
        float* attended = queue.Take((long)rows * Width);
        Project(queue, Query, x, rows, q);
        DeviceRanges ranges = PutRanges(context, queue);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
            Attend(queue, ranges, sequence, MemoryOf(sequence).Source, q, attended);
        Output.Forward(queue, attended, rows, y);
        queue.Release(mark);
    }

    /// <inheritdoc/>
    protected override int PositionsOf(in SequenceRows sequence) => MemoryOf(sequence).Mask.Length;

    /// <inheritdoc/>
    protected override RowRange RangeOf(in SequenceRows sequence, int row)
    {
        SourceMask mask = MemoryOf(sequence).Mask;
        return new(mask.First, mask.Last, sequence.Position + row);
    }

    private DeviceEncoderMemory MemoryOf(in SequenceRows sequence) =>
        (DeviceEncoderMemory)sequence.State[StateIndex];
}
