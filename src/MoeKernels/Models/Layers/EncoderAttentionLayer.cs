using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>An encoder's self-attention: every row sees every row of its sequence that is not padding.</summary>
/// <remarks>Keys and values live for the call only; nothing is cached.</remarks>
internal sealed unsafe class EncoderAttentionLayer(
    AttentionSpec spec, AttentionProjections weights, RelativePositionBias? bias) : Layer
{
    /// <summary>Sizes and rules.</summary>
    public AttentionSpec Spec => spec;

    /// <summary>The layer's matrices.</summary>
    public AttentionProjections Weights => weights;

    /// <summary>Null without relative positions.</summary>
    public RelativePositionBias? Bias => bias;

    /// <summary>Floats that <see cref="Forward"/> takes from the workspace.</summary>
    public static long ScratchFloats(AttentionSpec spec, int rows) =>
        (4 * Workspace.Rounded((long)rows * spec.Heads * spec.HeadDim))
        + SourceAttention.ScratchFloats(spec.Heads, rows, rows, spec.RelativeBias is not null);

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        nint width = (nint)spec.Heads * spec.HeadDim;
        Workspace workspace = context.Workspace;
        long mark = workspace.Mark();
        float* q = workspace.Take(rows * width);
        float* k = workspace.Take(rows * width);
        float* v = workspace.Take(rows * width);
        float* attended = workspace.Take(rows * width);
        LinearPart* parts = stackalloc[] { weights.Query.Part(q), weights.Key.Part(k), weights.Value.Part(v) };
        Linear.Forward(context.Pool, parts, 3, x, weights.Query.Inputs, rows);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            nint start = sequence.FirstRow * width;
            AttentionInput input = new()
            {
                Q = q + start, QStride = width, QHeadStride = spec.HeadDim,
                K = k + start, KStride = width, KHeadStride = spec.HeadDim,
                V = v + start, VStride = width, VHeadStride = spec.HeadDim,
                Y = attended + start, YStride = width, YHeadStride = spec.HeadDim,
                Rows = sequence.Rows,
                Heads = spec.Heads, KvHeads = spec.Heads,
                KeyDim = spec.HeadDim, ValueDim = spec.HeadDim,
                Scale = spec.Scale,
            };
            SourceAttention.Forward(context, input, sequence.Mask!, bias);
        }

        weights.Output.Forward(context.Pool, attended, rows, y);
        workspace.Release(mark);
    }
}
