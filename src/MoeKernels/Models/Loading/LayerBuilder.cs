using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Loading;

/// <summary>Builds layers from their descriptions and a checkpoint.</summary>
internal sealed unsafe partial class LayerBuilder(WeightBinder binder)
{
    private readonly List<IStateful> _stateful = [];
    private readonly List<CrossAttentionLayer> _readers = [];

    /// <summary>Parts with a state so far, in the order of their <see cref="IStateful.StateIndex"/>.</summary>
    public IStateful[] Stateful => [.. _stateful];

    /// <summary>Cross-attention layers so far.</summary>
    public CrossAttentionLayer[] Readers => [.. _readers];

    /// <summary>Builds what turns token ids into a stack's input.</summary>
    /// <param name="spec">The stack.</param>
    /// <param name="vocabulary">Rows of the embedding.</param>
    /// <param name="hidden">Columns of the embedding.</param>
    /// <param name="cached">Whether positions continue from one call to the next.</param>
    public StackInput BuildInput(StackSpec spec, int vocabulary, int hidden, bool cached)
    {
        SinusoidalPositions? positions = spec.Positions is null ? null : new(spec.Positions, hidden);
        if (positions is not null && cached)
            WithState(positions);
        WeightMatrix embedding = binder.Matrix(spec.Embedding, vocabulary, hidden);
        return new StackInput(new TokenEmbedding(embedding, spec.EmbeddingScale), positions);
    }

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
        AttentionSpec { Source: KeySource.Bidirectional } attention => EncoderAttention(attention),
        AttentionSpec { Source: KeySource.Encoder } attention => CrossAttention(attention),
        AttentionSpec attention => Attention(attention),
        FeedForwardSpec feedForward => FeedForward(feedForward),
        MoeSpec moe => Moe(moe),
        MlaSpec mla => Mla(mla),
        DeltaNetSpec delta => DeltaNet(delta),
        _ => throw new MoeUnsupportedException($"layers of the kind {spec.GetType().Name}"),
    };

    private FeedForwardLayer FeedForward(FeedForwardSpec spec) => new(OneExpert(spec));

    /// <summary>Gives a layer its place among the states of a sequence.</summary>
    private T WithState<T>(T layer)
        where T : IStateful
    {
        layer.StateIndex = _stateful.Count;
        _stateful.Add(layer);
        return layer;
    }
}
