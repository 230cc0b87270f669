using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>Multi-head latent attention in its absorbed form: queries are taken into the latent space, where every head
/// attends to the same cached rows, and the attended latents are taken to values afterwards.</summary>
/// <remarks>
/// <c>(W_uk c)·q = c·(W_ukᵀ q)</c>, so keys and values of single positions are never formed. Prefill uses the same form
/// as decode although forming them would cost fewer operations: that is why both give the same bits.
/// </remarks>
internal sealed unsafe class MlaLayer(MlaSpec spec, MlaWeights weights) : Layer
{
    /// <summary>Sizes and rules.</summary>
    public MlaSpec Spec => spec;

    /// <summary>The layer's weights.</summary>
    public MlaWeights Weights => weights;

    private int QueryWidth => spec.Heads * spec.QueryDim;

    private int ValueWidth => spec.Heads * spec.ValueDim;

    /// <inheritdoc/>
    public override LayerState CreateState(int contextLength) => new LatentCache(spec.LatentDim, contextLength);

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        Workspace workspace = context.Workspace;
        long mark = workspace.Mark();
        float* queries = workspace.Take((long)rows * QueryWidth);
        float* latents = workspace.Take((long)rows * spec.LatentDim);
        Project(context, x, queries, latents);
        Place(context, queries, latents);

        float* values = workspace.Take((long)rows * ValueWidth);
        int* range = workspace.TakeInts(rows);
        int* last = workspace.TakeInts(rows);
        new Span<int>(range, rows).Clear();
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            for (int i = 0; i < sequence.Rows; i++)
                last[sequence.FirstRow + i] = sequence.Position + i;
        }

        int block = spec.BlockRows(rows);
        float* absorbed = workspace.Take((long)block * spec.Heads * spec.LatentDim);
        float* attended = workspace.Take((long)block * spec.Heads * spec.KvRank);
        for (int row = 0; row < rows; row += block)
        {
            int count = Math.Min(block, rows - row);
            Absorb(context.Pool, queries + ((nint)row * QueryWidth), count, absorbed);
            foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
                Attend(context.Pool, sequence, row, count, absorbed, range, last, attended);
            Expand(context.Pool, attended, count, values + ((nint)row * ValueWidth));
        }

        weights.Output.Forward(context.Pool, values, rows, y);
        workspace.Release(mark);
    }

    /// <summary>Computes the queries and the normalised latents with their shared keys, positions not yet
    /// applied.</summary>
    private void Project(ForwardContext context, float* x, float* queries, float* latents)
    {
        int rows = context.Batch.Rows;
        WorkerPool pool = context.Pool;
        long mark = context.Workspace.Mark();
        float* low = weights.QueryUp is null
            ? queries
            : context.Workspace.Take((long)rows * weights.Query.Outputs);
        LinearPart* parts = stackalloc LinearPart[] { weights.Query.Part(low), weights.KvDown.Part(latents) };
        Linear.Forward(pool, parts, 2, x, weights.KvDown.Inputs, rows);
        if (weights.QueryUp is { } up)
        {
            weights.QueryNorm!.Forward(pool, low, low, rows);
            up.Forward(pool, low, rows, queries);
        }

        weights.KvNorm.Forward(pool, latents, spec.LatentDim, latents, spec.LatentDim, rows);
        context.Workspace.Release(mark);
    }

    /// <summary>Rotates queries and shared keys and stores the latents of every sequence.</summary>
    private void Place(ForwardContext context, float* queries, float* latents)
    {
        int rows = context.Batch.Rows;
        long mark = context.Workspace.Mark();
        float* angles = weights.Rope.TakeAngles(context);
        weights.Rope.Rotate(
            context.Pool, angles, queries + spec.NopeDim, rows, QueryWidth, spec.Heads, spec.QueryDim);
        weights.Rope.Rotate(context.Pool, angles, latents + spec.KvRank, rows, spec.LatentDim, 1, 0);
        context.Workspace.Release(mark);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            var cache = (LatentCache)sequence.State[StateIndex];
            cache.Write(sequence.Position, latents + ((nint)sequence.FirstRow * spec.LatentDim), sequence.Rows);
        }
    }

    /// <summary>Takes query heads into the latent space, <c>[W_ukᵀ q_nope, q_rope]</c>.</summary>
    private void Absorb(WorkerPool pool, float* queries, int rows, float* absorbed)
    {
        Linear.ForwardTransposedHeads(
            pool, weights.KvUp.Matrix, spec.Heads, spec.NopeDim + spec.ValueDim, spec.NopeDim,
            queries, QueryWidth, spec.QueryDim, rows, absorbed, spec.Heads * spec.LatentDim, spec.LatentDim);
        CopyWork work = new()
        {
            Source = queries + spec.NopeDim,
            SourceStride = spec.QueryDim,
            Target = absorbed + spec.KvRank,
            TargetStride = spec.LatentDim,
            Count = spec.RopeDim,
        };
        pool.Run(ref work, rows * spec.Heads);
    }

    /// <summary>Attends with those rows of a block that belong to one sequence.</summary>
    private void Attend(
        WorkerPool pool, in SequenceRows sequence, int firstRow, int rows, float* absorbed, int* first, int* last,
        float* attended)
    {
        int begin = Math.Max(firstRow, sequence.FirstRow);
        int end = Math.Min(firstRow + rows, sequence.FirstRow + sequence.Rows);
        if (begin >= end)
            return;
        float* cache = ((LatentCache)sequence.State[StateIndex]).Rows;
        AttentionInput input = new()
        {
            Q = absorbed + ((nint)(begin - firstRow) * spec.Heads * spec.LatentDim),
            QStride = spec.Heads * spec.LatentDim,
            QHeadStride = spec.LatentDim,
            K = cache,
            KStride = spec.LatentDim,
            V = cache,
            VStride = spec.LatentDim,
            Y = attended + ((nint)(begin - firstRow) * spec.Heads * spec.KvRank),
            YStride = spec.Heads * spec.KvRank,
            YHeadStride = spec.KvRank,
            Rows = end - begin,
            Heads = spec.Heads,
            KvHeads = 1,
            KeyDim = spec.LatentDim,
            ValueDim = spec.KvRank,
            First = first + begin,
            Last = last + begin,
            Scale = spec.Scale,
        };
        Attention.Forward(pool, input);
    }

    /// <summary>Takes attended latents to the heads' values, <c>W_uv c</c>.</summary>
    private void Expand(WorkerPool pool, float* attended, int rows, float* values)
    {
        WeightMatrix matrix = weights.KvUp.Matrix;
        Linear.ForwardHeads(
            pool, matrix.Slice(spec.NopeDim, matrix.Rows - spec.NopeDim), spec.Heads, spec.NopeDim + spec.ValueDim,
            spec.ValueDim, attended, spec.Heads * spec.KvRank, spec.KvRank, rows, values, ValueWidth, spec.ValueDim);
    }

    private struct CopyWork : IWork
    {
        public float* Source;
        public nint SourceStride;
        public float* Target;
        public nint TargetStride;
        public int Count;

        public readonly void Execute(int begin, int end, int worker)
        {
            for (nint i = begin; i < end; i++)
            {
                new ReadOnlySpan<float>(Source + (i * SourceStride), Count)
                    .CopyTo(new Span<float>(Target + (i * TargetStride), Count));
            }
        }
    }
}
