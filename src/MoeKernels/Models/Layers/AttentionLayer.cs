using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>Causal attention over a cache of keys and values, with everything <see cref="AttentionSpec"/> can ask
/// for.</summary>
/// <remarks>Keys and values are always read back from the cache, in prefill as in decode: that, and the kernels' fixed
/// order of sums, is why both phases give the same bits.</remarks>
internal sealed unsafe class AttentionLayer(AttentionSpec spec, AttentionWeights weights) : Layer
{
    private readonly int _queryWidth = spec.Heads * spec.HeadDim;

    /// <summary>Distance between two heads of a query row: with an output gate, a head's gate lies behind it.</summary>
    private readonly int _queryHeadStride = spec.OutputGate ? 2 * spec.HeadDim : spec.HeadDim;

    /// <summary>Sizes and rules.</summary>
    public AttentionSpec Spec => spec;

    /// <summary>The layer's weights.</summary>
    public AttentionWeights Weights => weights;

    /// <summary>First position that a query at <paramref name="position"/> sees.</summary>
    public static int FirstVisible(AttentionSpec spec, int position) => spec.Window switch
    {
        AttentionWindow.Sliding => Math.Max(0, position - spec.WindowSize + 1),
        AttentionWindow.Chunked => position / spec.WindowSize * spec.WindowSize,
        _ => 0,
    };

    /// <inheritdoc/>
    public override LayerState CreateState(int contextLength) =>
        new KeyValueCache(spec.KeyValueHeads, spec.HeadDim, contextLength);

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        Workspace workspace = context.Workspace;
        long mark = workspace.Mark();
        float* q = workspace.Take((long)rows * weights.Query.Outputs);
        float* k = workspace.Take((long)rows * weights.Key.Outputs);
        float* v = workspace.Take((long)rows * weights.Value.Outputs);
        float* attended = workspace.Take((long)rows * _queryWidth);
        LinearPart* parts = stackalloc[] { weights.Query.Part(q), weights.Key.Part(k), weights.Value.Part(v) };
        Linear.Forward(context.Pool, parts, 3, x, weights.Query.Inputs, rows);

        NormalizeBeforeRope(context.Pool, q, k, rows);
        Rotate(context, q, k, v);
        NormalizeAfterRope(context.Pool, q, k, rows);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            Store(context.Pool, sequence, k, v);
            Attend(context, sequence, q, attended);
        }

        if (spec.OutputGate)
            Gate(context.Pool, q, attended, rows);
        weights.Output.Forward(context.Pool, attended, rows, y);
        workspace.Release(mark);
    }

    private void NormalizeBeforeRope(WorkerPool pool, float* q, float* k, int rows)
    {
        if (spec.Norm == QueryKeyNorm.PerHead)
        {
            weights.QueryNorm!.Forward(pool, q, _queryHeadStride, q, _queryHeadStride, rows * spec.Heads);
            weights.KeyNorm!.Forward(pool, k, k, rows * spec.KeyValueHeads);
        }
        else if (spec.Norm == QueryKeyNorm.FullWidth)
        {
            weights.QueryNorm!.Forward(pool, q, q, rows);
            weights.KeyNorm!.Forward(pool, k, k, rows);
        }
    }

    private void Rotate(ForwardContext context, float* q, float* k, float* v)
    {
        if (weights.Rope is null && spec.Clip is null && spec.Temperature is null)
            return;
        int rows = context.Batch.Rows;
        long mark = context.Workspace.Mark();
        RotateWork work = new()
        {
            Q = q,
            K = k,
            V = v,
            Heads = spec.Heads,
            KeyValueHeads = spec.KeyValueHeads,
            HeadDim = spec.HeadDim,
            QueryHeadStride = _queryHeadStride,
            Angles = weights.Rope is null ? null : weights.Rope.TakeAngles(context),
            Dimensions = spec.Rope?.Dimensions ?? 0,
            Interleaved = spec.Rope?.Interleaved ?? false,
            Clip = spec.Clip ?? float.PositiveInfinity,
            Temperatures = spec.Temperature is null ? null : TakeTemperatures(context, spec.Temperature),
        };
        context.Pool.RunRows(ref work, rows, weights.Query.Outputs + weights.Key.Outputs);
        context.Workspace.Release(mark);
    }

    private static float* TakeTemperatures(ForwardContext context, TemperatureSpec temperature)
    {
        float* scales = context.Workspace.Take(context.Batch.Rows);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            for (int row = 0; row < sequence.Rows; row++)
                scales[sequence.FirstRow + row] = temperature.At(sequence.Position + row);
        }

        return scales;
    }

    private void NormalizeAfterRope(WorkerPool pool, float* q, float* k, int rows)
    {
        if (spec.Norm != QueryKeyNorm.PerHeadAfterRope)
            return;
        weights.QueryNorm!.Forward(pool, q, _queryHeadStride, q, _queryHeadStride, rows * spec.Heads);
        weights.KeyNorm!.Forward(pool, k, k, rows * spec.KeyValueHeads);
    }

    private void Store(WorkerPool pool, in SequenceRows sequence, float* k, float* v)
    {
        var cache = (KeyValueCache)sequence.State[StateIndex];
        nint offset = sequence.FirstRow * (nint)weights.Key.Outputs;
        StoreWork work = new(cache.Target, sequence.Position, k + offset, v + offset);
        pool.RunRows(ref work, sequence.Rows, 2L * weights.Key.Outputs);
    }

    private void Attend(ForwardContext context, in SequenceRows sequence, float* q, float* attended)
    {
        var cache = (KeyValueCache)sequence.State[StateIndex];
        long mark = context.Workspace.Mark();
        int* first = context.Workspace.TakeInts(sequence.Rows);
        int* last = context.Workspace.TakeInts(sequence.Rows);
        for (int row = 0; row < sequence.Rows; row++)
        {
            int position = sequence.Position + row;
            last[row] = position;
            first[row] = FirstVisible(spec, position);
        }

        AttentionInput input = new()
        {
            Q = q + (sequence.FirstRow * (nint)weights.Query.Outputs),
            QStride = weights.Query.Outputs,
            QHeadStride = _queryHeadStride,
            K = cache.Keys,
            KStride = cache.PositionStride,
            KHeadStride = cache.HeadStride,
            V = cache.Values,
            VStride = cache.PositionStride,
            VHeadStride = cache.HeadStride,
            Y = attended + (sequence.FirstRow * (nint)_queryWidth),
            YStride = _queryWidth,
            YHeadStride = spec.HeadDim,
            Rows = sequence.Rows,
            Heads = spec.Heads,
            KvHeads = spec.KeyValueHeads,
            KeyDim = spec.HeadDim,
            ValueDim = spec.HeadDim,
            First = first,
            Last = last,
            Scale = spec.Scale,
            Sinks = weights.Sinks,
        };
        weights.RelativeBias?.Attach(
            context.Workspace, ref input, sequence.Position, 0, sequence.Position + sequence.Rows);
        Attention.Forward(context.Pool, input);
        context.Workspace.Release(mark);
    }

    private void Gate(WorkerPool pool, float* q, float* attended, int rows)
    {
        GateWork work = new(attended, q + spec.HeadDim, spec.Heads, spec.HeadDim);
        pool.RunRows(ref work, rows, _queryWidth);
    }
}
