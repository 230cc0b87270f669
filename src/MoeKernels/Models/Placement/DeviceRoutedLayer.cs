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
        string what = Module = layer.Module;
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

        _moe = Own(new DeviceMoe(device, source, routed, shared, what));
    }

    /// <summary>A routing that is decided for the next calls, ids and weights [tokens × k], instead of the router's:
    /// for comparing precisions, where a rounded logit may choose another expert. Null in normal use.</summary>
    public (int[] Ids, float[] Weights)? Forced { get; set; }

    /// <summary>E.</summary>
    public int Experts => _router.Experts;

    /// <summary>k.</summary>
    public int TopK => _router.TopK;

    /// <summary>Module path of the router.</summary>
    public string Module { get; }

    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, ForwardBatch batch) =>
        (2 * DeviceQueue.Rounded(batch.Rows * (long)sizeof(int)))
        + (2 * DeviceQueue.Rounded((long)batch.Rows * _router.TopK * sizeof(int)))
        + _moe.ScratchBytes(device, batch.Rows);

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
        if (Forced is { } forced)
        {
            call.ForcedIds = queue.Put<int>(forced.Ids);
            call.ForcedWeights = queue.Put<float>(forced.Weights);
        }

        _moe.Forward(queue, call);
        queue.Release(mark);
    }
}
