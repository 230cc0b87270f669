using MoeKernels.Cuda;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>Causal attention with grouped heads on a device: the steps of <see cref="AttentionLayer"/>.</summary>
internal sealed unsafe class DeviceAttentionLayer : DeviceAttentionBase, IStateful
{
    private readonly RopeTable? _rope;
    private readonly DeviceNorm? _queryNorm;
    private readonly DeviceNorm? _keyNorm;

    /// <summary>Distance between two heads of a query row: with an output gate, a head's gate lies behind it.</summary>
    private readonly int _queryHeadStride;

    /// <summary>Copies the weights.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceAttentionLayer(CudaDevice device, AttentionLayer layer)
        : base(device, layer.Spec, layer.Weights.Projections, layer.Weights.RelativeBias)
    {
        StateIndex = layer.StateIndex;
        _queryHeadStride = Query.Outputs / Spec.Heads;
        AttentionWeights weights = layer.Weights;
        _rope = weights.Rope;
        try
        {
            _queryNorm = weights.QueryNorm is { } q ? Own(new DeviceNorm(device, q)) : null;
            _keyNorm = weights.KeyNorm is { } k ? Own(new DeviceNorm(device, k)) : null;
            if (weights.Sinks != null)
                Sinks = Own(DeviceArray.Of(device, weights.Sinks, Spec.Heads, "the sinks")!);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public int StateIndex { get; set; }

    /// <inheritdoc/>
    public LayerState CreateState(int contextLength) =>
        new DeviceKeyValueCache(Device, KeyWidth, KeyWidth, contextLength);

    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, ForwardBatch batch) =>
        base.ScratchBytes(device, batch)
        + (2 * DeviceQueue.RoundedFloats((long)batch.Rows * KeyWidth))
        + DeviceQueue.RoundedFloats((long)batch.Rows * (Spec.Rope?.Dimensions ?? 0))
        + DeviceQueue.RoundedFloats(Spec.Temperature is null ? 0 : batch.Rows);

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        long mark = queue.Mark();
        float* q = queue.Take((long)rows * Query.Outputs);
        float* k = queue.Take((long)rows * KeyWidth);
        float* v = queue.Take((long)rows * KeyWidth);
        float* attended = queue.Take((long)rows * Width);
        Project(queue, Query, x, rows, q);
        Project(queue, Key, x, rows, k);
        Value.Forward(queue, x, rows, v);

        NormalizeBeforeRope(queue, q, k, rows);
        Rotate(context, queue, q, k, v);
        if (Spec.Norm == QueryKeyNorm.PerHeadAfterRope)
            NormalizeHeads(queue, q, k, rows);
        Attend(context, queue, q, k, v, attended);
        if (Spec.OutputGate)
        {
            DeviceOps.Gate(
                queue, attended, q + Spec.HeadDim, (long)rows * Spec.Heads, Spec.HeadDim, _queryHeadStride);
        }

        Output.Forward(queue, attended, rows, y);
        queue.Release(mark);
    }

    /// <inheritdoc/>
    protected override int PositionsOf(in SequenceRows sequence) => sequence.Position + sequence.Rows;

    /// <inheritdoc/>
    protected override RowRange RangeOf(in SequenceRows sequence, int row)
    {
        int position = sequence.Position + row;
        return new(AttentionLayer.FirstVisible(Spec, position), position, position);
    }

    private void NormalizeBeforeRope(DeviceQueue queue, float* q, float* k, int rows)
    {
        if (Spec.Norm == QueryKeyNorm.PerHead)
        {
            NormalizeHeads(queue, q, k, rows);
        }
        else if (Spec.Norm == QueryKeyNorm.FullWidth)
        {
            _queryNorm!.Forward(queue, q, q, rows);
            _keyNorm!.Forward(queue, k, k, rows);
        }
    }

    private void NormalizeHeads(DeviceQueue queue, float* q, float* k, int rows)
    {
        _queryNorm!.Forward(queue, q, _queryHeadStride, q, _queryHeadStride, (long)rows * Spec.Heads);
        _keyNorm!.Forward(queue, k, k, (long)rows * Spec.KeyValueHeads);
    }

    private void Rotate(ForwardContext context, DeviceQueue queue, float* q, float* k, float* v)
    {
        int rows = context.Batch.Rows;
        if (Spec.Clip is { } clip)
        {
            DeviceOps.Clamp(queue, q, clip, (long)rows * Query.Outputs);
            DeviceOps.Clamp(queue, k, clip, (long)rows * KeyWidth);
            DeviceOps.Clamp(queue, v, clip, (long)rows * KeyWidth);
        }

        if (_rope is not null)
        {
            int dimensions = _rope.Dimensions;
            bool interleaved = Spec.Rope!.Interleaved;
            float* angles = DevicePositions.PutAngles(context, queue, _rope);
            DeviceOps.Rotate(
                queue, q, angles, rows, Spec.Heads, dimensions, interleaved, Query.Outputs, _queryHeadStride);
            DeviceOps.Rotate(
                queue, k, angles, rows, Spec.KeyValueHeads, dimensions, interleaved, KeyWidth, Spec.HeadDim);
        }

        if (Spec.Temperature is { } temperature)
            DeviceOps.ScaleRows(queue, q, DevicePositions.Put(context, queue, temperature.At), rows, Query.Outputs);
    }

    private void Attend(ForwardContext context, DeviceQueue queue, float* q, float* k, float* v, float* attended)
    {
        DeviceRanges ranges = PutRanges(context, queue);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            var cache = (DeviceKeyValueCache)sequence.State[StateIndex];
            long first = sequence.FirstRow * (long)KeyWidth;
            cache.Store(queue, sequence.Position, sequence.Rows, k + first, v + first);
            DeviceSource source = new()
            {
                Keys = cache.Keys,
                Values = cache.Values,
                Positions = PositionsOf(sequence),
            };
            Attend(queue, ranges, sequence, source, q, attended);
        }
    }
}
