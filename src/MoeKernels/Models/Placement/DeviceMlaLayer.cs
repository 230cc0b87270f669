using MoeKernels.Cuda;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>Multi-head latent attention in its absorbed form on a device: the steps of
/// <see cref="MlaLayer"/>.</summary>
internal sealed unsafe class DeviceMlaLayer : DeviceLayer, IStateful
{
    private readonly CudaDevice _device;
    private readonly MlaSpec _spec;
    private readonly RopeTable _rope;
    private readonly DeviceMatrix _query;
    private readonly DeviceNorm? _queryNorm;
    private readonly DeviceMatrix? _queryUp;
    private readonly DeviceMatrix _kvDown;
    private readonly DeviceNorm _kvNorm;
    private readonly DeviceHeadMatrices _absorb;
    private readonly DeviceHeadMatrices _expand;
    private readonly DeviceMatrix _output;
    private readonly int _queryWidth;
    private readonly int _valueWidth;

    /// <summary>Copies the weights.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device or the host has no room.</exception>
    public DeviceMlaLayer(CudaDevice device, MlaLayer layer)
    {
        (_device, _spec, StateIndex) = (device, layer.Spec, layer.StateIndex);
        (_queryWidth, _valueWidth) = (_spec.Heads * _spec.QueryDim, _spec.Heads * _spec.ValueDim);
        MlaWeights weights = layer.Weights;
        _rope = weights.Rope;
        try
        {
            _query = Place(device, weights.Query, "the query projection");
            _queryNorm = weights.QueryNorm is { } norm ? Own(new DeviceNorm(device, norm)) : null;
            _queryUp = weights.QueryUp is { } up ? Place(device, up, "the query projection") : null;
            _kvDown = Place(device, weights.KvDown, "the latent projection");
            _kvNorm = Own(new DeviceNorm(device, weights.KvNorm));
            _absorb = Own(PlaceKeys(device, _spec, weights.KvUp.Matrix));
            _expand = Own(PlaceValues(device, _spec, weights.KvUp.Matrix));
            _output = Place(device, weights.Output, "the output projection");
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
    public LayerState CreateState(int contextLength) => new DeviceLatentCache(_device, _spec.LatentDim, contextLength);

    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, ForwardBatch batch)
    {
        int rows = batch.Rows;
        int block = _spec.BlockRows(rows);
        long heads = (long)block * _spec.Heads;
        long positions = 2 * DeviceQueue.Rounded((long)rows * sizeof(int));
        return DeviceQueue.RoundedFloats((long)rows * _queryWidth)
            + DeviceQueue.RoundedFloats((long)rows * _spec.LatentDim)
            + DeviceQueue.RoundedFloats((long)rows * _valueWidth)
            + Math.Max(
                DeviceQueue.RoundedFloats((long)rows * Math.Max(_query.Outputs, _rope.Dimensions))
                    + LargestProduct(device, rows),
                positions + DeviceQueue.RoundedFloats(heads * _spec.LatentDim)
                    + DeviceQueue.RoundedFloats(heads * _spec.KvRank) + LargestOfBlock(device, batch, block));
    }

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        long mark = queue.Mark();
        float* queries = queue.Take((long)rows * _queryWidth);
        float* latents = queue.Take((long)rows * _spec.LatentDim);
        float* values = queue.Take((long)rows * _valueWidth);
        Project(queue, x, rows, queries, latents);
        Store(context, queue, queries, latents);
        Attend(context, queue, queries, values);
        _output.Forward(queue, values, rows, y);
        queue.Release(mark);
    }

    /// <summary>Key rows of every head, transposed: from queries into the latent space.</summary>
    private static DeviceHeadMatrices PlaceKeys(CudaDevice device, MlaSpec spec, WeightMatrix kvUp)
    {
        using TransposedHeads keys = new(Heads(spec, kvUp, 0, spec.NopeDim), "the key projection");
        return new DeviceHeadMatrices(device, keys.Matrices, "the key projection");
    }

    /// <summary>Value rows of every head.</summary>
    private static DeviceHeadMatrices PlaceValues(CudaDevice device, MlaSpec spec, WeightMatrix kvUp) =>
        new(device, Heads(spec, kvUp, spec.NopeDim, spec.ValueDim), "the value projection");

    private static WeightMatrix[] Heads(MlaSpec spec, WeightMatrix kvUp, int first, int rows)
    {
        int stride = spec.NopeDim + spec.ValueDim;
        return [.. Enumerable.Range(0, spec.Heads).Select(head => kvUp.Slice((head * stride) + first, rows))];
    }

    private long LargestProduct(CudaDevice device, int rows) => Math.Max(
        Math.Max(_query.ScratchBytes(device, rows), _queryUp?.ScratchBytes(device, rows) ?? 0),
        Math.Max(_kvDown.ScratchBytes(device, rows), _output.ScratchBytes(device, rows)));

    private long LargestOfBlock(CudaDevice device, ForwardBatch batch, int block)
    {
        long largest = Math.Max(_absorb.ScratchBytes(device, block), _expand.ScratchBytes(device, block));
        foreach (ref readonly SequenceRows sequence in batch.Sequences)
        {
            // A block may cut any number of rows off a sequence.
            int rows = Math.Min(DeviceOps.FewRows, sequence.Rows);
            largest = Math.Max(largest, DeviceOps.AttentionScratchBytes(
                device, rows, _spec.Heads, _spec.KvRank, sequence.Position + sequence.Rows));
        }

        return largest;
    }

    /// <summary>Computes the queries and the normalised latents with their shared keys, positions not yet
    /// applied.</summary>
    private void Project(DeviceQueue queue, float* x, int rows, float* queries, float* latents)
    {
        long mark = queue.Mark();
        float* low = _queryUp is null ? queries : queue.Take((long)rows * _query.Outputs);
        _query.Forward(queue, x, rows, low);
        _queryNorm?.Forward(queue, low, low, rows);
        _queryUp?.Forward(queue, low, rows, queries);
        _kvDown.Forward(queue, x, rows, latents);
        _kvNorm.Forward(queue, latents, _spec.LatentDim, latents, _spec.LatentDim, rows);
        queue.Release(mark);
    }

    /// <summary>Rotates queries and shared keys and stores the latents of every sequence.</summary>
    private void Store(ForwardContext context, DeviceQueue queue, float* queries, float* latents)
    {
        int rows = context.Batch.Rows;
        bool interleaved = _spec.Rope.Interleaved;
        long mark = queue.Mark();
        float* angles = DevicePositions.PutAngles(context, queue, _rope);
        DeviceOps.Rotate(
            queue, queries + _spec.NopeDim, angles, rows, _spec.Heads, _spec.RopeDim, interleaved, _queryWidth,
            _spec.QueryDim);
        DeviceOps.Rotate(
            queue, latents + _spec.KvRank, angles, rows, 1, _spec.RopeDim, interleaved, _spec.LatentDim,
            _spec.RopeDim);
        queue.Release(mark);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            var cache = (DeviceLatentCache)sequence.State[StateIndex];
            cache.Store(
                queue, sequence.Position, sequence.Rows, latents + ((long)sequence.FirstRow * _spec.LatentDim));
        }
    }

    /// <summary>Takes the queries through the latent space, some rows at a time.</summary>
    private void Attend(ForwardContext context, DeviceQueue queue, float* queries, float* values)
    {
        int rows = context.Batch.Rows;
        int block = _spec.BlockRows(rows);
        int rank = _spec.KvRank;
        (long latentStride, long rankStride) = ((long)_spec.Heads * _spec.LatentDim, (long)_spec.Heads * rank);
        long mark = queue.Mark();
        int* first = DevicePositions.Put(context, queue, static _ => 0);
        int* last = DevicePositions.Put(context, queue, static position => position);
        float* absorbed = queue.Take(block * latentStride);
        float* attended = queue.Take(block * rankStride);
        for (int row = 0; row < rows; row += block)
        {
            int count = Math.Min(block, rows - row);
            Absorb(queue, queries + ((long)row * _queryWidth), count, absorbed);
            foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
                Attend(queue, sequence, row, count, absorbed, first, last, attended);
            _expand.Forward(
                queue, new(attended, rankStride, rank), count,
                new(values + ((long)row * _valueWidth), _valueWidth, _spec.ValueDim));
        }

        queue.Release(mark);
    }

    /// <summary>Takes query heads into the latent space, <c>[W_ukᵀ q_nope, q_rope]</c>.</summary>
    private void Absorb(DeviceQueue queue, float* queries, int rows, float* absorbed)
    {
        long stride = (long)_spec.Heads * _spec.LatentDim;
        _absorb.Forward(
            queue, new(queries, _queryWidth, _spec.QueryDim), rows, new(absorbed, stride, _spec.LatentDim));
        DeviceOps.CopyHeads(
            queue, new(queries + _spec.NopeDim, _queryWidth, _spec.QueryDim),
            new(absorbed + _spec.KvRank, stride, _spec.LatentDim), rows, _spec.Heads, _spec.RopeDim);
    }

    /// <summary>Attends with those rows of a block that belong to one sequence.</summary>
    private void Attend(
        DeviceQueue queue, in SequenceRows sequence, int firstRow, int rows, float* absorbed, int* first, int* last,
        float* attended)
    {
        int begin = Math.Max(firstRow, sequence.FirstRow);
        int end = Math.Min(firstRow + rows, sequence.FirstRow + sequence.Rows);
        if (begin >= end)
            return;
        long stride = (long)_spec.Heads * _spec.LatentDim;
        long rankStride = (long)_spec.Heads * _spec.KvRank;
        float* cache = ((DeviceLatentCache)sequence.State[StateIndex]).Rows;
        DeviceOps.Attend(queue, new DeviceAttention
        {
            Rows = end - begin,
            Heads = _spec.Heads,
            KvHeads = 1,
            Positions = sequence.Position + sequence.Rows,
            KeyDim = _spec.LatentDim,
            ValueDim = _spec.KvRank,
            Scale = _spec.Scale,
            Q = absorbed + ((begin - firstRow) * stride),
            K = cache,
            V = cache,
            Y = attended + ((begin - firstRow) * rankStride),
            First = first + begin,
            Last = last + begin,
            QStride = stride,
            QHeadStride = _spec.LatentDim,
            KStride = _spec.LatentDim,
            VStride = _spec.LatentDim,
            YStride = rankStride,
            YHeadStride = _spec.KvRank,
        });
    }
}
