using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Models.Placement;

/// <summary>A mixture-of-experts layer on a device: one native call.</summary>
internal sealed unsafe class DeviceRoutedLayer : DeviceLayer
{
    private readonly RouterSpec _router;
    private readonly DeviceMoe _moe;

    /// <summary>Copies the router and the experts.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    /// <exception cref="MoeUnsupportedException">The experts' formats do not go together on a device.</exception>
    public DeviceRoutedLayer(CudaDevice device, RoutedLayer layer)
    {
        _router = layer.Router;
        RoutedLayerWeights weights = layer.Weights;
        DeviceMoeSource source = new()
        {
            Router = _router,
            RouterWeight = weights.Router,
            RouterBias = weights.RouterBias,
            ChoiceBias = weights.ChoiceBias,
            ExpertScale = weights.ExpertScale,
            SharedGate = weights.SharedGate,
            SharedGateBias = weights.SharedGateBias,
        };
        string what = layer.Module;
        DeviceExperts routed = new(device, weights.Experts, what);
        DeviceExperts? shared = null;
        try
        {
            shared = weights.Shared is { } own ? new DeviceExperts(device, own, what) : null;
        }
        catch
        {
            routed.Dispose();
            throw;
        }

        _moe = new DeviceMoe(device, source, routed, shared, what);
    }

    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, int rows) =>
        (2 * DeviceQueue.Rounded(rows * (long)sizeof(int))) + _moe.ScratchBytes(device, rows);

    /// <inheritdoc/>
    /// <exception cref="MoeUnsupportedException">A trace of the router is wanted.</exception>
    public override void Forward(ForwardContext context, DeviceQueue queue, float* x, float* y)
    {
        if (context.Trace is { WantsRouter: true })
            throw new MoeUnsupportedException("records of the routers of a model on a device", queue.Device.Id);

        long mark = queue.Mark();
        DeviceMoeCall call = new() { Tokens = context.Batch.Rows, X = x, Y = y };
        if (_router.Capacity.Kind == CapacityKind.PerSequence)
        {
            ReadOnlySpan<SequenceRows> sequences = context.Batch.Sequences;
            long host = context.Workspace.Mark();
            Span<int> starts = new(context.Workspace.TakeInts(sequences.Length), sequences.Length);
            for (int i = 0; i < starts.Length; i++)
                starts[i] = sequences[i].FirstRow;
            call.SequenceStarts = queue.Put<int>(starts);
            call.Sequences = starts.Length;
            context.Workspace.Release(host);
        }

        if (!context.Batch.Mask.IsEmpty)
            call.Mask = queue.Put(context.Batch.Mask);
        _moe.Forward(queue, call);
        queue.Release(mark);
    }

    /// <inheritdoc/>
    public override void Dispose() => _moe.Dispose();
}
