using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Families;

/// <summary>Dense Llama 1 to 3.</summary>
internal sealed class LlamaFamily : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["llama"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-6f);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 10000);
        int intermediate = decoder.Width("intermediate_size");
        BiasRule attentionBias = Bias(config, "attention_bias");
        BiasRule networkBias = Bias(config, "mlp_bias");
        return parts.Model("llama", i => parts.Block(
            i,
            parts.Attention(i, rope, attentionBias, attentionBias),
            parts.FeedForward($"{parts.Layer(i)}.mlp", intermediate, networkBias)));
    }
}
