using MoeKernels.Cuda;
using MoeKernels.Models.Description;
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
    private readonly List<IEncoderReader> _hostReaders = [];

    /// <summary>The mixture-of-experts layers on the device, in the order of the model.</summary>
    public IEnumerable<DeviceRoutedLayer> RoutedLayers => _owned.OfType<DeviceRoutedLayer>();

    /// <summary>What runs on the host, each kind of layer once.</summary>
    public IReadOnlyCollection<string> HostReasons => _hostReasons;

    /// <summary>The same model with its stacks and head on the device.</summary>
    /// <param name="parts">The loaded parts; their weights are only read.</param>
    /// <param name="model">What the parts were built from.</param>
    /// <param name="cancellation">Checked between layers; whoever gets the exception disposes the placement.</param>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public TransformerParts Place(TransformerParts parts, ModelDescription model, CancellationToken cancellation)
    {
        IStateful[] stateful = [.. parts.Stateful];
        EncoderParts? encoder = parts.Encoder is not { } own
            ? null
            : own with { Stack = Place((Stack)own.Stack, model.Encoder!, model.Hidden, stateful, cancellation) };
        IStack decoder = Place((Stack)parts.Decoder, model.Decoder, model.Hidden, stateful, cancellation);
        if (encoder is not null)
            encoder = encoder with { Readers = Readers(model.Hidden) };
        var head = Own(new DeviceHead(device, ((HostHead)parts.Head).Weights));
        return parts with { Decoder = decoder, Head = head, Stateful = stateful, Encoder = encoder };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _owned.ForEach(owned => owned.Dispose());
        device.Dispose();
    }

    private DeviceStack Place(
        Stack stack, StackSpec spec, int hidden, IStateful[] stateful, CancellationToken cancellation)
    {
        var blocks = new DeviceSublayer[stack.Blocks.Length][];
        for (int i = 0; i < blocks.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            SublayerSpec[] specs = spec.Blocks[i].Sublayers;
            blocks[i] = [.. stack.Blocks[i].Select((sublayer, j) => Place(sublayer, specs[j].Layer, hidden, stateful))];
        }

        DeviceNorm norm = Own(new DeviceNorm(device, stack.FinalNorm));
        return new DeviceStack(device, stack.TracePrefix, blocks, norm, hidden);
    }

    private DeviceSublayer Place(Sublayer sublayer, LayerSpec spec, int hidden, IStateful[] stateful)
    {
        DeviceNorm norm = Own(new DeviceNorm(device, sublayer.Norm));
        if (DeviceKernels.Missing(spec) is { } reason)
        {
            _hostReasons.Add(reason);
            if (sublayer.Layer is IEncoderReader reader)
                _hostReaders.Add(reader);
            return new DeviceSublayer(norm, new HostLayer(sublayer.Layer, hidden));
        }

        DeviceLayer layer = Own<DeviceLayer>(sublayer.Layer switch
        {
            RoutedLayer routed => new DeviceRoutedLayer(device, routed),
            FeedForwardLayer network => new DeviceFeedForward(device, network),
            AttentionLayer attention => new DeviceAttentionLayer(device, attention),
            EncoderAttentionLayer attention => new DeviceEncoderAttention(device, attention),
            CrossAttentionLayer attention => new DeviceCrossAttention(device, attention),
            MlaLayer attention => new DeviceMlaLayer(device, attention),
            _ => throw new InvalidOperationException($"{sublayer.Layer.GetType().Name} has no twin on a device."),
        });
        if (layer is IStateful state)
            stateful[state.StateIndex] = state;
        return new DeviceSublayer(norm, layer);
    }

    /// <summary>The cross-attention layers, those of the device as one reader.</summary>
    private IEncoderReader[] Readers(int hidden)
    {
        DeviceCrossAttention[] placed = [.. _owned.OfType<DeviceCrossAttention>()];
        if (placed.Length == 0)
            return [.. _hostReaders];
        return [.. _hostReaders, new DeviceEncoderReader(device, placed, hidden)];
    }

    private T Own<T>(T part)
        where T : IDisposable
    {
        _owned.Add(part);
        return part;
    }
}
