using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>One sublayer with its weights. Immutable and shared by all sequences.</summary>
internal abstract unsafe class Layer : IStateful
{
    /// <inheritdoc/>
    public int StateIndex { get; set; } = -1;

    /// <summary>Computes <c>y = layer(x)</c> for all rows of the batch.</summary>
    /// <param name="context">Threads, scratch memory and the sequences the rows belong to.</param>
    /// <param name="x">Normalised input, [rows × hidden].</param>
    /// <param name="y">Receives the result before the residual is added, [rows × hidden]; does not overlap x.</param>
    public abstract void Forward(ForwardContext context, float* x, float* y);

    /// <inheritdoc/>
    public virtual LayerState? CreateState(int contextLength) => null;
}
