using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>A layer without device kernels: its input comes to the host, the CPU's layer runs, its output goes
/// back.</summary>
/// <param name="layer">The host's layer; it belongs to the model, and its weights stay where they are.</param>
/// <param name="hidden">Columns of the residual stream.</param>
internal sealed unsafe class HostLayer(Layer layer, int hidden) : DeviceLayer
{
    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, ForwardBatch batch) => 0;

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y)
    {
        long floats = (long)context.Batch.Rows * hidden;
        long bytes = floats * sizeof(float);
        long mark = context.Workspace.Mark();
        float* input = context.Workspace.Take(floats);
        float* output = context.Workspace.Take(floats);
        queue.CopyOut(input, x, bytes);
        queue.Synchronize();
        layer.Forward(context, input, output);
        queue.CopyIn(y, output, bytes);
        context.Workspace.Release(mark);
    }
}
