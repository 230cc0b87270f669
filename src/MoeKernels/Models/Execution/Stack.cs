using MoeKernels.Cpu;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Execution;

/// <summary>A sublayer ready to run: <c>h += layer(norm(h))</c>.</summary>
internal sealed record Sublayer(NormLayer Norm, Layer Layer);

/// <summary>A stack of blocks over one residual stream [rows × hidden], on the host.</summary>
internal sealed unsafe class Stack(string tracePrefix, Sublayer[][] blocks, NormLayer finalNorm, int hidden) : IStack
{
    /// <summary>In front of the names of traced tensors.</summary>
    public string TracePrefix => tracePrefix;

    /// <summary>The sublayers of each block.</summary>
    public Sublayer[][] Blocks => blocks;

    /// <summary>The last norm.</summary>
    public NormLayer FinalNorm => finalNorm;

    /// <summary>Floats the stack itself takes from the workspace, on top of its largest layer.</summary>
    public static long ScratchFloats(int rows, int hidden) => 2 * Workspace.Rounded((long)rows * hidden);

    /// <inheritdoc/>
    public void Forward(ForwardContext context, float* residual)
    {
        int rows = context.Batch.Rows;
        long mark = context.Workspace.Mark();
        float* normalized = context.Workspace.Take((long)rows * hidden);
        float* result = context.Workspace.Take((long)rows * hidden);
        for (int i = 0; i < blocks.Length; i++)
        {
            TraceHidden(context, i, residual, rows);
            foreach (Sublayer sublayer in blocks[i])
            {
                context.Cancellation.ThrowIfCancellationRequested();
                sublayer.Norm.Forward(context.Pool, residual, normalized, rows);
                sublayer.Layer.Forward(context, normalized, result);
                ResidualWork add = new(residual, result, hidden);
                context.Pool.RunRows(ref add, rows, hidden);
            }
        }

        finalNorm.Forward(context.Pool, residual, residual, rows);
        TraceHidden(context, blocks.Length, residual, rows);
        context.Workspace.Release(mark);
    }

    private void TraceHidden(ForwardContext context, int index, float* residual, int rows)
    {
        if (context.Trace is { WantsHidden: true } trace)
        {
            ReadOnlySpan<float> values = new(residual, checked(rows * hidden));
            trace.Record($"{tracePrefix}hidden.{index}", values, rows, hidden);
        }
    }

    /// <summary><c>h += y</c>, one item a row.</summary>
    private readonly struct ResidualWork(float* residual, float* result, int hidden) : IWork
    {
        public void Execute(int begin, int end, int worker)
        {
            for (int row = begin; row < end; row++)
            {
                float* h = residual + ((nint)row * hidden);
                Vec.Add(h, result + ((nint)row * hidden), h, hidden);
            }
        }
    }
}
