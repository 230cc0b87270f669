using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Layers;

/// <summary>A dense feed-forward network: the same two steps as one routed expert that gets every row.</summary>
internal sealed unsafe class FeedForwardLayer : Layer
{
    private readonly Activation _activation;
    private readonly LinearWeights _gate;
    private readonly LinearWeights _up;
    private readonly LinearWeights _down;

    /// <param name="activation">The non-linearity.</param>
    /// <param name="gate">[intermediate × hidden]; ignored when the activation is not gated.</param>
    /// <param name="up">[intermediate × hidden].</param>
    /// <param name="down">[hidden × intermediate].</param>
    public FeedForwardLayer(
        in Activation activation, in LinearWeights gate, in LinearWeights up, in LinearWeights down)
    {
        (_activation, _gate, _up, _down) = (activation, gate, up, down);
    }

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        int* offsets = stackalloc int[] { 0, rows };
        WeightMatrix gate = _gate.Matrix;
        WeightMatrix up = _up.Matrix;
        float* gateBias = _gate.Bias;
        float* upBias = _up.Bias;
        long mark = context.Workspace.Mark();
        float* activated = context.Workspace.Take((long)rows * _up.Outputs);
        GroupedGemm.GateUp(
            context.Pool, _activation, _activation.Gated ? &gate : null, &up,
            gateBias == null ? null : &gateBias, upBias == null ? null : &upBias,
            1, offsets, x, _up.Inputs, activated, _up.Outputs);
        _down.Forward(context.Pool, activated, rows, y);
        context.Workspace.Release(mark);
    }
}
