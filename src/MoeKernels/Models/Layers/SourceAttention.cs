using MoeKernels.Cpu;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>Attention of some rows over a whole source sequence, without causality: what an encoder's self-attention
/// and a decoder's cross-attention have in common.</summary>
internal static unsafe class SourceAttention
{
    /// <summary>Added to the scores of hidden positions between visible ones: large enough that their weights are 0,
    /// finite so that no difference of two of them is NaN.</summary>
    private const float Hidden = -1e30f;

    /// <summary>Floats that <see cref="Forward"/> takes from the workspace.</summary>
    public static long ScratchFloats(int heads, int rows, int positions, bool relative) =>
        (2 * Workspace.Rounded(rows))
        + (relative
            ? RelativePositionBias.ScratchFloats(heads, rows, positions) + Workspace.Rounded((long)heads * positions)
            : Workspace.Rounded(positions));

    /// <summary>Computes every row of <paramref name="input"/> over the visible positions of a source.</summary>
    /// <param name="context">Threads and scratch memory.</param>
    /// <param name="input">Queries, the source's keys and values, the output, their shapes; the rest is set
    /// here.</param>
    /// <param name="mask">The source's length and visible positions.</param>
    /// <param name="bias">Null for none; row i of the input is then position i of the source.</param>
    public static void Forward(
        ForwardContext context, AttentionInput input, SourceMask mask, RelativePositionBias? bias)
    {
        Workspace workspace = context.Workspace;
        long mark = workspace.Mark();
        input.First = workspace.TakeInts(input.Rows);
        input.Last = workspace.TakeInts(input.Rows);
        new Span<int>(input.First, input.Rows).Fill(mask.First);
        new Span<int>(input.Last, input.Rows).Fill(mask.Last);
        if (bias is not null && mask.HasHoles)
        {
            ForwardByRow(context, input, mask, bias);
        }
        else
        {
            if (bias is not null)
                bias.Attach(workspace, ref input, 0, 0, mask.Length);
            else if (mask.HasHoles)
                input.Bias = HolesOf(mask, workspace.Take(mask.Length));
            Attention.Forward(context.Pool, input);
        }

        workspace.Release(mark);
    }

    /// <summary>Holes and distances together are no longer a shifted table: each row gets its own. Masks with holes are
    /// rare enough for that.</summary>
    private static void ForwardByRow(
        ForwardContext context, AttentionInput input, SourceMask mask, RelativePositionBias bias)
    {
        int rows = input.Rows;
        float* table = context.Workspace.Take((long)input.Heads * mask.Length);
        input.Rows = 1;
        input.Bias = table;
        input.BiasHeadStride = mask.Length;
        for (int row = 0; row < rows; row++)
        {
            for (int head = 0; head < input.Heads; head++)
            {
                for (int p = 0; p < mask.Length; p++)
                    table[(head * mask.Length) + p] = mask.IsVisible(p) ? bias.Value(head, p - row) : Hidden;
            }

            Attention.Forward(context.Pool, input);
            input.Q += input.QStride;
            input.Y += input.YStride;
        }
    }

    /// <summary>One row for all queries and heads: the strides stay 0.</summary>
    private static float* HolesOf(SourceMask mask, float* row)
    {
        for (int p = 0; p < mask.Length; p++)
            row[p] = mask.IsVisible(p) ? 0 : Hidden;
        return row;
    }
}
