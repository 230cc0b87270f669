using MoeKernels.Cuda;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>A normalisation with its weights on a device.</summary>
internal sealed unsafe class DeviceNorm : IDisposable
{
    private readonly NormSpec _spec;
    private readonly DeviceArray? _weight;
    private readonly DeviceArray? _bias;

    /// <summary>Copies the weights.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceNorm(CudaDevice device, NormLayer norm)
    {
        _spec = norm.Spec;
        _weight = DeviceArray.Of(device, norm.Weight, norm.Size, "a norm");
        _bias = DeviceArray.Of(device, norm.Bias, norm.Size, "a norm");
    }

    /// <summary>Normalises contiguous rows; y may be x.</summary>
    public void Forward(DeviceQueue queue, float* x, float* y, long rows) =>
        Forward(queue, x, _spec.Size, y, _spec.Size, rows);

    /// <summary>Normalises rows that lie a stride apart; y may be x. Layer norms take contiguous rows only.</summary>
    public void Forward(DeviceQueue queue, float* x, long xStride, float* y, long yStride, long rows)
    {
        float* weight = _weight is null ? null : _weight.Floats;
        if (_spec.Kind == NormKind.Layer)
        {
            float* bias = _bias is null ? null : _bias.Floats;
            DeviceOps.LayerNorm(queue, x, weight, bias, _spec.Epsilon, y, rows, _spec.Size);
            return;
        }

        float offset = _spec.Kind == NormKind.RmsPlusOne ? 1 : 0;
        DeviceOps.RmsNorm(queue, x, xStride, weight, offset, _spec.Epsilon, y, yStride, rows, _spec.Size);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _weight?.Dispose();
        _bias?.Dispose();
    }
}
