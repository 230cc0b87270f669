using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>Qwen3-MoE: q/k norms per head, no shared expert.</summary>
internal sealed class Qwen3MoeFamily : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["qwen3_moe"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-6f);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 10000);
        BiasRule bias = Bias(config, "attention_bias");
        var sparse = new SparseLayers(config);
        bool sliding = config.BoolOr(false, "use_sliding_window") && !config.IsNull("sliding_window");
        int? window = sliding ? config.PositiveOr(4096, "sliding_window") : null;
        RouterSpec router = RouterSpec.Qwen3Moe(
            decoder.Experts("num_experts", "num_local_experts"),
            config.PositiveOr(8, "num_experts_per_tok"),
            config.BoolOr(false, "norm_topk_prob"));
        return parts.Model("qwen3_moe", i =>
        {
            string module = $"{parts.Layer(i)}.mlp";
            AttentionSpec attention = parts.WithQueryKeyNorm(
                parts.Attention(i, rope, bias, bias), i, QueryKeyNorm.PerHead);
            LayerSpec feedForward = sparse.Has(i)
                ? parts.Moe(i, module, router, decoder.Width("moe_intermediate_size"))
                : parts.FeedForward(module, decoder.Width("intermediate_size"));
            return parts.Block(i, DecoderParts.Sliding(attention, window), feedForward);
        });
    }
}
