using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Loading;

/// <summary>Builds layers from their descriptions and a checkpoint.</summary>
internal sealed unsafe partial class LayerBuilder(WeightBinder binder)
{
    private readonly List<Layer> _stateful = [];

    /// <summary>Layers with a state so far, in the order of their <see cref="Layer.StateIndex"/>.</summary>
    public Layer[] Stateful => [.. _stateful];

    /// <summary>Builds a stack with all its blocks.</summary>
    /// <exception cref="MoeFormatException">A tensor is missing or has another shape or type.</exception>
    /// <exception cref="MoeUnsupportedException">A layer is of a kind there is no code for.</exception>
    public Stack Build(StackSpec spec, int hidden, CancellationToken cancellation)
    {
        var blocks = new Sublayer[spec.Blocks.Count][];
        for (int i = 0; i < blocks.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            blocks[i] = Array.ConvertAll(
                spec.Blocks[i].Sublayers, sublayer => new Sublayer(binder.Norm(sublayer.Norm), Build(sublayer.Layer)));
        }

        return new Stack(spec.TracePrefix, blocks, binder.Norm(spec.FinalNorm), hidden);
    }

    /// <summary>Builds one layer.</summary>
    /// <exception cref="MoeFormatException">A tensor is missing or has another shape or type.</exception>
    /// <exception cref="MoeUnsupportedException">There is no code for layers of this kind.</exception>
    public Layer Build(LayerSpec spec) => spec switch
    {
        FeedForwardSpec feedForward => FeedForward(feedForward),
        _ => throw new MoeUnsupportedException($"layers of the kind {spec.GetType().Name}"),
    };

    private FeedForwardLayer FeedForward(FeedForwardSpec spec) => new(
        spec.Activation,
        spec.Gate is null ? default : binder.Linear(spec.Gate),
        binder.Linear(spec.Up),
        binder.Linear(spec.Down));

    /// <summary>Gives a layer its place among the states of a sequence.</summary>
    private T WithState<T>(T layer)
        where T : Layer
    {
        layer.StateIndex = _stateful.Count;
        _stateful.Add(layer);
        return layer;
    }
}
