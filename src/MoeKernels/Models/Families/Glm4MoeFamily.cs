using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>GLM-4.5 to 4.7: partial rotation, sigmoid routing with a choice bias, dense first layers.</summary>
/// <remarks>Layers for multi-token prediction (<c>num_nextn_predict_layers</c>) lie behind the last one and are not
/// used.</remarks>
internal sealed class Glm4MoeFamily : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["glm4_moe"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-5f);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 10000, partial: 0.5);
        BiasRule bias = Bias(config, "attention_bias");
        bool norms = config.BoolOr(false, "use_qk_norm");
        int dense = config.InRange(0, int.MaxValue, "first_k_dense_replace") ?? 1;
        return parts.Model("glm4_moe", i =>
        {
            AttentionSpec attention = parts.Attention(i, rope, bias, BiasRule.None);
            LayerSpec feedForward = i < dense
                ? parts.FeedForward($"{parts.Layer(i)}.mlp", decoder.Width("intermediate_size"))
                : Moe(parts, i);
            return parts.Block(
                i,
                norms ? parts.WithQueryKeyNorm(attention, i, QueryKeyNorm.PerHead) : attention,
                feedForward);
        });
    }

    private static MoeSpec Moe(DecoderParts parts, int layer)
    {
        DecoderConfig decoder = parts.Config;
        ConfigReader keys = decoder.Keys;
        string module = $"{parts.Layer(layer)}.mlp";
        RouterSpec router = RouterSpec.Glm4Moe(
            decoder.Experts("n_routed_experts", "num_local_experts", "num_experts"),
            keys.PositiveOr(8, "num_experts_per_tok"),
            keys.PositiveOr(1, "n_group"),
            keys.PositiveOr(1, "topk_group"),
            keys.FloatOr(1f, "routed_scaling_factor"),
            keys.BoolOr(true, "norm_topk_prob"));
        int intermediate = decoder.Width("moe_intermediate_size");
        int shared = keys.InRange(0, 64, "n_shared_experts") ?? 1;
        return parts.Moe(layer, module, router, intermediate) with
        {
            ChoiceBias = $"{module}.gate.e_score_correction_bias",
            Shared = shared == 0
                ? null
                : new SharedExpertSpec(parts.FeedForward($"{module}.shared_experts", shared * intermediate)),
        };
    }
}
