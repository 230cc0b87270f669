using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Execution;

/// <summary>From hidden states to logits, on the host or on a device.</summary>
internal unsafe interface IHead
{
    /// <summary>Computes logits [rows × vocabulary] from hidden states [rows × hidden], both in host memory.</summary>
    void Forward(ForwardContext context, float* hidden, int rows, float* logits);
}

/// <summary>The head on the host.</summary>
internal sealed unsafe class HostHead(in LinearWeights weights) : IHead
{
    private readonly LinearWeights _weights = weights;

    /// <summary>[vocabulary × hidden].</summary>
    public LinearWeights Weights => _weights;

    /// <inheritdoc/>
    public void Forward(ForwardContext context, float* hidden, int rows, float* logits) =>
        _weights.Forward(context.Pool, hidden, rows, logits);
}
