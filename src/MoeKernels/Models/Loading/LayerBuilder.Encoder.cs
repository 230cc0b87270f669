using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Loading;

/// <content>Attention of encoders and to encoders.</content>
internal sealed unsafe partial class LayerBuilder
{
    private EncoderAttentionLayer EncoderAttention(AttentionSpec spec) =>
        new(spec, Projections(spec), RelativeBias(spec));

    private CrossAttentionLayer CrossAttention(AttentionSpec spec)
    {
        CrossAttentionLayer layer = WithState(new CrossAttentionLayer(spec, Projections(spec)));
        _readers.Add(layer);
        return layer;
    }

    private AttentionProjections Projections(AttentionSpec spec) => new(
        binder.Linear(spec.Query), binder.Linear(spec.Key), binder.Linear(spec.Value), binder.Linear(spec.Output));

    /// <summary>The relative position bias of a layer, or null; its table [buckets × heads] is shared by a stack on
    /// disk and small enough to be read for each layer.</summary>
    private RelativePositionBias? RelativeBias(AttentionSpec spec)
    {
        if (spec.RelativeBias is not { } bias)
            return null;
        float[] table = binder.Singles(bias.Tensor, bias.Buckets, spec.Heads);
        float* weights = binder.Memory.Keep<float>(table, "the relative position bias");
        return new RelativePositionBias(bias, spec.Heads, weights);
    }
}
