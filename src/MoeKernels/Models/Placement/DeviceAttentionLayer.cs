using MoeKernels.Cuda;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>Causal attention with grouped heads on a device: the steps of <see cref="AttentionLayer"/>.</summary>
internal sealed unsafe class DeviceAttentionLayer : DeviceLayer, IStateful
{
    private readonly CudaDevice _device;
    private readonly AttentionSpec _spec;
    private readonly RopeTable? _rope;
    private readonly DeviceMatrix _query;
    private readonly DeviceMatrix _key;
    private readonly DeviceMatrix _value;
    private readonly DeviceMatrix _output;
    private readonly DeviceNorm? _queryNorm;
    private readonly DeviceNorm? _keyNorm;
    private readonly DeviceArray? _sinks;
    private readonly int _width;
    private readonly int _keyWidth;

    /// <summary>Distance between two heads of a query row: with an output gate, a head's gate lies behind it.</summary>
    private readonly int _queryHeadStride;

    /// <summary>Copies the weights.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceAttentionLayer(CudaDevice device, AttentionLayer layer)
    {
        (_device, _spec, StateIndex) = (device, layer.Spec, layer.StateIndex);
        _width = _spec.Heads * _spec.HeadDim;
        _keyWidth = _spec.KeyValueHeads * _spec.HeadDim;
        _queryHeadStride = _spec.OutputGate ? 2 * _spec.HeadDim : _spec.HeadDim;
        AttentionWeights weights = layer.Weights;
        _rope = weights.Rope;
        try
        {
            _query = Place(device, weights.Query, "the query projection");
            _key = Place(device, weights.Key, "the key projection");
            _value = Place(device, weights.Value, "the value projection");
            _output = Place(device, weights.Output, "the output projection");
            _queryNorm = weights.QueryNorm is { } q ? Own(new DeviceNorm(device, q)) : null;
            _keyNorm = weights.KeyNorm is { } k ? Own(new DeviceNorm(device, k)) : null;
            _sinks = DeviceArray.Of(device, weights.Sinks, _spec.Heads, "the sinks");
            if (_sinks is not null)
                Own(_sinks);
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
        new DeviceKeyValueCache(_device, _keyWidth, _keyWidth, contextLength);

    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, ForwardBatch batch)
    {
        int rows = batch.Rows;
        long product = Math.Max(
            Math.Max(_query.ScratchBytes(device, rows), _key.ScratchBytes(device, rows)),
            Math.Max(_value.ScratchBytes(device, rows), _output.ScratchBytes(device, rows)));
        long attention = 0;
        foreach (ref readonly SequenceRows sequence in batch.Sequences)
        {
            attention = Math.Max(attention, DeviceOps.AttentionScratchBytes(
                device, sequence.Rows, _spec.Heads, _spec.HeadDim, sequence.Position + sequence.Rows));
        }

        return DeviceQueue.RoundedFloats((long)rows * _query.Outputs)
            + (2 * DeviceQueue.RoundedFloats((long)rows * _keyWidth))
            + DeviceQueue.RoundedFloats((long)rows * _width)
            + DeviceQueue.RoundedFloats((long)rows * (_spec.Rope?.Dimensions ?? 0))
            + (3 * DeviceQueue.Rounded((long)rows * sizeof(int)))
            + Math.Max(product, attention);
    }

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        long mark = queue.Mark();
        float* q = queue.Take((long)rows * _query.Outputs);
        float* k = queue.Take((long)rows * _keyWidth);
        float* v = queue.Take((long)rows * _keyWidth);
        float* attended = queue.Take((long)rows * _width);
        _query.Forward(queue, x, rows, q);
        _key.Forward(queue, x, rows, k);
        _value.Forward(queue, x, rows, v);

        NormalizeBeforeRope(queue, q, k, rows);
        Rotate(context, queue, q, k, v);
        if (_spec.Norm == QueryKeyNorm.PerHeadAfterRope)
            NormalizeHeads(queue, q, k, rows);
        Attend(context, queue, q, k, v, attended);
        if (_spec.OutputGate)
        {
            DeviceOps.Gate(
                queue, attended, q + _spec.HeadDim, (long)rows * _spec.Heads, _spec.HeadDim, _queryHeadStride);
        }

        _output.Forward(queue, attended, rows, y);
        queue.Release(mark);
    }

    private void NormalizeBeforeRope(DeviceQueue queue, float* q, float* k, int rows)
    {
        if (_spec.Norm == QueryKeyNorm.PerHead)
        {
            NormalizeHeads(queue, q, k, rows);
        }
        else if (_spec.Norm == QueryKeyNorm.FullWidth)
        {
            _queryNorm!.Forward(queue, q, q, rows);
            _keyNorm!.Forward(queue, k, k, rows);
        }
    }

    private void NormalizeHeads(DeviceQueue queue, float* q, float* k, int rows)
    {
        _queryNorm!.Forward(queue, q, _queryHeadStride, q, _queryHeadStride, (long)rows * _spec.Heads);
        _keyNorm!.Forward(queue, k, k, (long)rows * _spec.KeyValueHeads);
    }

    private void Rotate(ForwardContext context, DeviceQueue queue, float* q, float* k, float* v)
    {
        int rows = context.Batch.Rows;
        if (_spec.Clip is { } clip)
        {
            DeviceOps.Clamp(queue, q, clip, (long)rows * _query.Outputs);
            DeviceOps.Clamp(queue, k, clip, (long)rows * _keyWidth);
            DeviceOps.Clamp(queue, v, clip, (long)rows * _keyWidth);
        }

        if (_rope is not null)
        {
            int dimensions = _rope.Dimensions;
            bool interleaved = _spec.Rope!.Interleaved;
            float* angles = DevicePositions.PutAngles(context, queue, _rope);
            DeviceOps.Rotate(
                queue, q, angles, rows, _spec.Heads, dimensions, interleaved, _query.Outputs, _queryHeadStride);
            DeviceOps.Rotate(
                queue, k, angles, rows, _spec.KeyValueHeads, dimensions, interleaved, _keyWidth, _spec.HeadDim);
        }

        if (_spec.Temperature is { } temperature)
            DeviceOps.ScaleRows(queue, q, DevicePositions.Put(context, queue, temperature.At), rows, _query.Outputs);
    }

    private void Attend(ForwardContext context, DeviceQueue queue, float* q, float* k, float* v, float* attended)
    {
        int* firsts = DevicePositions.Put(
            context, queue, position => AttentionLayer.FirstVisible(_spec, position));
        int* lasts = DevicePositions.Put(context, queue, position => position);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            var cache = (DeviceKeyValueCache)sequence.State[StateIndex];
            long row = sequence.FirstRow;
            cache.Store(queue, sequence.Position, sequence.Rows, k + (row * _keyWidth), v + (row * _keyWidth));
            DeviceOps.Attend(queue, new DeviceAttention
            {
                Rows = sequence.Rows,
                Heads = _spec.Heads,
                KvHeads = _spec.KeyValueHeads,
                Positions = sequence.Position + sequence.Rows,
                KeyDim = _spec.HeadDim,
                ValueDim = _spec.HeadDim,
                Scale = _spec.Scale,
                Q = q + (row * _query.Outputs),
                K = cache.Keys,
                V = cache.Values,
                Y = attended + (row * _width),
                First = firsts + row,
                Last = lasts + row,
                Sinks = _sinks is null ? null : _sinks.Floats,
                QStride = _query.Outputs,
                QHeadStride = _queryHeadStride,
                KStride = _keyWidth,
                KHeadStride = _spec.HeadDim,
                VStride = _keyWidth,
                VHeadStride = _spec.HeadDim,
                YStride = _width,
                YHeadStride = _spec.HeadDim,
            });
        }
    }
}
