using MoeKernels.Interop;
using MoeKernels.Router;

namespace MoeKernels.Cuda;

/// <summary>What a mixture-of-experts layer is placed from; host memory.</summary>
internal unsafe struct DeviceMoeSource
{
    /// <summary>How experts are chosen.</summary>
    public RouterSpec Router;

    /// <summary>[E × inputs].</summary>
    public WeightMatrix RouterWeight;

    /// <summary>[E], or null.</summary>
    public float* RouterBias, ChoiceBias, ExpertScale;

    /// <summary>[1 × hidden], or no rows.</summary>
    public WeightMatrix SharedGate;

    /// <summary>[1], or null.</summary>
    public float* SharedGateBias;
}

/// <summary>One call of a <see cref="DeviceMoe"/>; device memory.</summary>
internal unsafe struct DeviceMoeCall
{
    /// <summary>T.</summary>
    public int Tokens;

    /// <summary>[T × hidden]; what the router and the experts see.</summary>
    public float* X;

    /// <summary>Receives [T × hidden].</summary>
    public float* Y;

    /// <summary>First token of every sequence, [sequences]; null for one.</summary>
    public int* SequenceStarts;

    /// <summary>Number of sequences.</summary>
    public int Sequences;

    /// <summary>1 for tokens, 0 for padding, [T]; null when nothing is padded.</summary>
    public int* Mask;

    /// <summary>[T × k], a routing that is decided; null to route.</summary>
    public int* ForcedIds;

    /// <summary>[T × k], weights of <see cref="ForcedIds"/>; null for ones.</summary>
    public float* ForcedWeights;

    /// <summary>[T × k], receives the ids; or null.</summary>
    public int* Ids;

    /// <summary>[T × k], receives the weights; or null.</summary>
    public float* Weights;
}

/// <summary>A whole mixture-of-experts layer on a device; without a router its calls bring their routing.</summary>
internal sealed unsafe class DeviceMoe : IDisposable
{
    /// <summary>Most experts that a router takes.</summary>
    public const int MostExperts = 1024;

    private readonly LayerHandle _layer;
    private readonly DeviceExperts _routed;
    private readonly DeviceExperts? _shared;

    /// <summary>Takes the experts over, also when it fails, and copies the router.</summary>
    /// <param name="device">The device.</param>
    /// <param name="source">Router and gate of the shared expert; null for a layer without router.</param>
    /// <param name="routed">The routed experts.</param>
    /// <param name="shared">The shared expert, or null.</param>
    /// <param name="what">What it is, for errors.</param>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceMoe(
        CudaDevice device, DeviceMoeSource? source, DeviceExperts routed, DeviceExperts? shared, string what)
    {
        (_routed, _shared) = (routed, shared);
        TopK = source?.Router.TopK ?? 1;
        try
        {
            _layer = source is { } given ? Place(device, given, what) : PlaceBare(device);
        }
        catch (NativeException e)
        {
            DisposeExperts();
            throw device.Translate(e, $"placing {what}");
        }
    }

    /// <summary>k.</summary>
    public int TopK { get; }

    /// <summary>Inputs and outputs.</summary>
    public int Hidden => _routed.Hidden;

    private moek_layer* Pointer => (moek_layer*)_layer.DangerousGetHandle();

    /// <summary>Scratch bytes of a call.</summary>
    public long ScratchBytes(CudaDevice device, int tokens)
    {
        ulong bytes;
        device.Check(Moek.moek_layer_workspace(&bytes, null, Pointer, tokens), "asking for a workspace");
        return DeviceQueue.Rounded((long)bytes)
            + DeviceQueue.ActivationBytes(device, (long)tokens * Hidden, (long)tokens * Hidden);
    }

    /// <summary>Queues a call.</summary>
    public void Forward(DeviceQueue queue, in DeviceMoeCall call)
    {
        long mark = queue.Mark();
        moek_batch batch;
        Moek.moek_batch_init(&batch);
        batch.sequences = call.Sequences;
        batch.sequence_starts = call.SequenceStarts;
        batch.mask = call.Mask;
        moek_forward_args args;
        Moek.moek_forward_args_init(&args);
        long count = (long)call.Tokens * Hidden;
        args.tokens = call.Tokens;
        args.hidden = queue.RoundIn(call.X, count);
        args.output = queue.Target(call.Y, count);
        args.io_dtype = (int)queue.Device.ActivationType;
        args.expert_ids = call.ForcedIds;
        args.expert_weights = call.ForcedWeights;
        args.top_k = TopK;
        args.expert_ids_out = call.Ids;
        args.expert_weights_out = call.Weights;
        queue.Check(
            Moek.moek_layer_workspace(&args.workspace_bytes, null, Pointer, call.Tokens), "asking for a workspace");
        args.workspace = queue.TakeBytes((long)args.workspace_bytes);
        args.batch = &batch;
        args.stream = queue.Stream;
        queue.Check(Moek.moek_layer_forward(Pointer, &args), "a mixture-of-experts layer");
        queue.RoundOut(call.Y, args.output, count);
        queue.Release(mark);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _layer.Dispose();
        DisposeExperts();
    }

    private void DisposeExperts()
    {
        _routed.Dispose();
        _shared?.Dispose();
    }

    private LayerHandle PlaceBare(CudaDevice device)
    {
        moek_layer_desc desc;
        Moek.moek_layer_desc_init(&desc);
        return new LayerHandle(device.Context, _routed.Handle, _shared?.Handle, desc);
    }

    private LayerHandle Place(CudaDevice device, DeviceMoeSource source, string what)
    {
        moek_router_desc router = DeviceRouting.Describe(source.Router);
        router.bias = source.RouterBias;
        router.choice_bias = source.ChoiceBias;
        router.expert_scale = source.ExpertScale;
        using DenseSource weight = new([source.RouterWeight], source.Router.Experts, what, DenseForm.Unscaled);
        router.weight = weight.Data;
        router.weight_dtype = (int)weight.Type;
        moek_layer_desc desc;
        Moek.moek_layer_desc_init(&desc);
        desc.router = &router;
        desc.router_width = source.RouterWeight.Columns;
        if (source.SharedGate.Rows == 0)
            return new LayerHandle(device.Context, _routed.Handle, _shared?.Handle, desc);

        using DenseSource gate = new([source.SharedGate], 1, what, DenseForm.Unscaled);
        desc.shared_gate = gate.Data;
        desc.shared_gate_dtype = (int)gate.Type;
        desc.shared_gate_bias = source.SharedGateBias;
        return new LayerHandle(device.Context, _routed.Handle, _shared?.Handle, desc);
    }
}
