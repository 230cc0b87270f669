using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>OLMoE: q/k norms over all heads together, then clipped queries, keys and values.</summary>
internal sealed class OlmoeFamily : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["olmoe"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-5f);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 10000);
        BiasRule bias = Bias(config, "attention_bias");
        float? clip = config.OptionalFloat("clip_qkv");
        if (clip < 0)
            throw config.Error("clip_qkv", $"{clip} is negative");

        int intermediate = decoder.Width("intermediate_size");
        RouterSpec router = RouterSpec.Olmoe(
            decoder.Experts("num_experts", "num_local_experts"),
            config.PositiveOr(8, "num_experts_per_tok"),
            config.BoolOr(false, "norm_topk_prob"));
        return parts.Model("olmoe", i =>
        {
            AttentionSpec attention = parts.WithQueryKeyNorm(
                parts.Attention(i, rope, bias, bias), i, QueryKeyNorm.FullWidth);
            return parts.Block(
                i, attention with { Clip = clip }, parts.Moe(i, $"{parts.Layer(i)}.mlp", router, intermediate));
        });
    }
}
