using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>The output head on a device; hidden states come from the host and logits go there.</summary>
internal sealed unsafe class DeviceHead : IHead, IDisposable
{
    private readonly CudaDevice _device;
    private readonly DeviceMatrix _matrix;

    /// <summary>Copies the head.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceHead(CudaDevice device, in LinearWeights head)
    {
        _device = device;
        _matrix = new DeviceMatrix(device, head.Matrix, head.Bias, "the output head");
    }

    /// <inheritdoc/>
    public void Forward(ForwardContext context, float* hidden, int rows, float* logits)
    {
        DeviceQueue queue = context.Queue(_device);
        long inputs = (long)rows * _matrix.Inputs;
        long outputs = (long)rows * _matrix.Outputs;
        queue.Reserve(
            DeviceQueue.RoundedFloats(inputs) + DeviceQueue.RoundedFloats(outputs)
            + _matrix.ScratchBytes(_device, rows));
        long mark = queue.Mark();
        float* x = queue.Take(inputs);
        float* y = queue.Take(outputs);
        queue.CopyIn(x, hidden, inputs * sizeof(float));
        _matrix.Forward(queue, x, rows, y);
        queue.CopyOut(logits, y, outputs * sizeof(float));
        queue.Synchronize();
        queue.Release(mark);
    }

    /// <inheritdoc/>
    public void Dispose() => _matrix.Dispose();
}
