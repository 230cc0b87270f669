using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>Puts a loaded model on a device: every layer that has kernels there gets a twin, the others stay on the
/// host and are named.</summary>
/// <param name="device">The device; the placed parts keep it open.</param>
internal sealed class DevicePlacement(CudaDevice device) : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private readonly SortedSet<string> _hostReasons = [];

    /// <summary>What runs on the host, each kind of layer once.</summary>
    public IReadOnlyCollection<string> HostReasons => _hostReasons;

    /// <summary>The same model with its stacks and head on the device.</summary>
    /// <param name="parts">The loaded parts; their weights are only read.</param>
    /// <param name="hidden">Columns of the residual stream.</param>
    /// <param name="cancellation">Checked between layers; whoever gets the exception disposes the placement.</param>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public TransformerParts Place(TransformerParts parts, int hidden, CancellationToken cancellation)
    {
        IStateful[] stateful = [.. parts.Stateful];
        EncoderParts? encoder = parts.Encoder is not { } own
            ? null
            : own with { Stack = Place((Stack)own.Stack, hidden, stateful, cancellation) };
        IStack decoder = Place((Stack)parts.Decoder, hidden, stateful, cancellation);
        var head = Own(new DeviceHead(device, ((HostHead)parts.Head).Weights));
        return parts with { Decoder = decoder, Head = head, Stateful = stateful, Encoder = encoder };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _owned.ForEach(owned => owned.Dispose());
        device.Dispose();
    }

    private DeviceStack Place(Stack stack, int hidden, IStateful[] stateful, CancellationToken cancellation)
    {
        var blocks = new DeviceSublayer[stack.Blocks.Length][];
        for (int i = 0; i < blocks.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            blocks[i] = Array.ConvertAll(stack.Blocks[i], sublayer => Place(sublayer, hidden, stateful));
        }

        DeviceNorm norm = Own(new DeviceNorm(device, stack.FinalNorm));
        return new DeviceStack(device, stack.TracePrefix, blocks, norm, hidden);
    }

    private DeviceSublayer Place(Sublayer sublayer, int hidden, IStateful[] stateful)
    {
        DeviceNorm norm = Own(new DeviceNorm(device, sublayer.Norm));
        DeviceLayer layer = Own(Place(sublayer.Layer, hidden));
        if (layer is IStateful state)
            stateful[state.StateIndex] = state;
        if (layer.HostReason is { } reason)
            _hostReasons.Add(reason);
        return new DeviceSublayer(norm, layer);
    }

    private DeviceLayer Place(Layer layer, int hidden)
    {
        switch (layer)
        {
            case RoutedLayer routed:
                return new DeviceRoutedLayer(device, routed);
            case FeedForwardLayer network:
                return new DeviceFeedForward(device, network);
            case AttentionLayer attention:
                return DeviceAttentionLayer.Missing(attention.Spec) is { } missing
                    ? new HostLayer(layer, hidden, missing)
                    : new DeviceAttentionLayer(device, attention);
            default:
                return new HostLayer(layer, hidden, Name(layer));
        }
    }

    private static string Name(Layer layer) => layer switch
    {
        MlaLayer => "multi-head latent attention",
        DeltaNetLayer => "gated delta networks",
        EncoderAttentionLayer => "attention of encoders",
        CrossAttentionLayer => "cross attention",
        _ => layer.GetType().Name,
    };

    private T Own<T>(T part)
        where T : IDisposable
    {
        _owned.Add(part);
        return part;
    }
}
