using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Layers;

/// <summary>A dense feed-forward network: the same two steps as one routed expert that gets every row.</summary>
internal sealed unsafe class FeedForwardLayer(ExpertMatrices network) : Layer
{
    /// <summary>The network, as one expert.</summary>
    public ExpertMatrices Network => network;

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        int hidden = network.Hidden;
        int* offsets = stackalloc int[] { 0, rows };
        long mark = context.Workspace.Mark();
        float* inner = context.Workspace.Take((long)rows * network.Intermediate);
        GroupedGemm.GateUp(
            context.Pool, network.Activation, network.Gate, network.Up, network.GateBias, network.UpBias, 1, offsets,
            x, hidden, inner, network.Intermediate);
        GroupedGemm.Down(
            context.Pool, network.Down, network.DownBias, 1, offsets, inner, network.Intermediate, y, hidden);
        context.Workspace.Release(mark);
    }
}
