using MoeKernels.Cuda;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>Relative position biases on a device: a table of all distances, so that a call brings only the places of
/// its rows.</summary>
internal sealed unsafe class DeviceRelativeBias : IDisposable
{
    private readonly DeviceArray _table;
    private readonly int _reach;

    /// <summary>Copies the table.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceRelativeBias(CudaDevice device, RelativePositionBias bias)
    {
        _reach = bias.Reach;
        float[] table = bias.Table();
        fixed (float* values = table)
            _table = DeviceArray.Of(device, values, table.Length, "the relative position bias")!;
    }

    /// <summary>Adds the biases to a call.</summary>
    /// <param name="call">The call.</param>
    /// <param name="places">Position of each of its rows.</param>
    public void Attach(ref DeviceAttention call, int* places)
    {
        call.Bias = _table.Floats;
        call.Places = places;
        call.BiasReach = _reach;
    }

    /// <inheritdoc/>
    public void Dispose() => _table.Dispose();
}
