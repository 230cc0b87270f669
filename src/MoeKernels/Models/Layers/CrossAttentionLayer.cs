using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>A decoder's attention to the encoder's output: every row sees all of the source but its padding.</summary>
internal sealed unsafe class CrossAttentionLayer(AttentionSpec spec, AttentionProjections weights)
    : Layer, IEncoderReader
{
    /// <summary>Sizes and rules.</summary>
    public AttentionSpec Spec => spec;

    /// <summary>The layer's matrices.</summary>
    public AttentionProjections Weights => weights;

    private nint Width => (nint)spec.Heads * spec.HeadDim;

    /// <summary>Floats that <see cref="Forward"/> and <see cref="Remember"/> take from the workspace at most.</summary>
    public static long ScratchFloats(AttentionSpec spec, int rows, int sourcePositions) =>
        (2 * Workspace.Rounded((long)rows * spec.Heads * spec.HeadDim))
        + SourceAttention.ScratchFloats(spec.Heads, rows, sourcePositions, relative: false);

    /// <inheritdoc/>
    public override LayerState CreateState(int contextLength) => new EncoderMemory(spec.Heads, spec.HeadDim);

    /// <inheritdoc/>
    public void Remember(ForwardContext context, float* encoded)
    {
        int rows = context.Batch.Rows;
        long mark = context.Workspace.Mark();
        float* k = context.Workspace.Take(rows * Width);
        float* v = context.Workspace.Take(rows * Width);
        LinearPart* parts = stackalloc[] { weights.Key.Part(k), weights.Value.Part(v) };
        Linear.Forward(context.Pool, parts, 2, encoded, weights.Key.Inputs, rows);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            nint start = sequence.FirstRow * Width;
            var memory = (EncoderMemory)sequence.State[StateIndex];
            memory.Store(k + start, v + start, sequence.Mask!);
        }

        context.Workspace.Release(mark);
    }

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        long mark = context.Workspace.Mark();
        float* q = context.Workspace.Take(rows * Width);
        float* attended = context.Workspace.Take(rows * Width);
        weights.Query.Forward(context.Pool, x, rows, q);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            nint start = sequence.FirstRow * Width;
            var memory = (EncoderMemory)sequence.State[StateIndex];
            KeyValueCache cache = memory.Cache;
            AttentionInput input = new()
            {
                Q = q + start, QStride = Width, QHeadStride = spec.HeadDim,
                K = cache.Keys, KStride = cache.PositionStride, KHeadStride = cache.HeadStride,
                V = cache.Values, VStride = cache.PositionStride, VHeadStride = cache.HeadStride,
                Y = attended + start, YStride = Width, YHeadStride = spec.HeadDim,
                Rows = sequence.Rows,
                Heads = spec.Heads, KvHeads = spec.Heads,
                KeyDim = spec.HeadDim, ValueDim = spec.HeadDim,
                Scale = spec.Scale,
            };
            SourceAttention.Forward(context, input, memory.Mask!, bias: null);
        }

        weights.Output.Forward(context.Pool, attended, rows, y);
        context.Workspace.Release(mark);
    }
}
