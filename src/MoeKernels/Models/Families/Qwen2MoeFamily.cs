using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>Qwen1.5-MoE and Qwen2-MoE: a shared expert behind a sigmoid gate beside the routed ones.</summary>
internal sealed class Qwen2MoeFamily : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["qwen2_moe"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-6f);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 10000);
        BiasRule bias = Bias(config, "qkv_bias", otherwise: true);
        string[] types = LayerTypes(decoder);
        var sparse = new SparseLayers(config);
        int window = types.Contains(SlidingType) ? config.Positive("sliding_window") : 1;
        int intermediate = decoder.Width("intermediate_size");
        return parts.Model("qwen2_moe", i =>
        {
            AttentionSpec attention = parts.Attention(i, rope, bias, BiasRule.None);
            LayerSpec feedForward = sparse.Has(i)
                ? Moe(parts, i)
                : parts.FeedForward($"{parts.Layer(i)}.mlp", intermediate);
            int? visible = types[i] == SlidingType ? window : null;
            return parts.Block(i, DecoderParts.Sliding(attention, visible), feedForward);
        });
    }

    private const string SlidingType = "sliding_attention";

    /// <summary>Without <c>layer_types</c> every second of the first <c>max_window_layers</c> layers slides.</summary>
    private static string[] LayerTypes(DecoderConfig decoder)
    {
        ConfigReader keys = decoder.Keys;
        bool sliding = keys.BoolOr(false, "use_sliding_window");
        int windowed = keys.IntOr(28, "max_window_layers");
        return decoder.LayerTypes("full_attention", SlidingType) ?? [.. Enumerable.Range(0, decoder.Layers).Select(
            i => sliding && i % 2 == 0 && i < windowed ? SlidingType : "full_attention")];
    }

    private static MoeSpec Moe(DecoderParts parts, int layer)
    {
        DecoderConfig decoder = parts.Config;
        ConfigReader keys = decoder.Keys;
        string module = $"{parts.Layer(layer)}.mlp";
        RouterSpec router = RouterSpec.Qwen2Moe(
            decoder.Experts("num_experts", "num_local_experts"),
            keys.PositiveOr(4, "num_experts_per_tok"),
            keys.BoolOr(false, "norm_topk_prob"));
        return parts.Moe(layer, module, router, decoder.Width("moe_intermediate_size")) with
        {
            Shared = new SharedExpertSpec(
                parts.FeedForward($"{module}.shared_expert", decoder.Width("shared_expert_intermediate_size")),
                new LinearSpec($"{module}.shared_expert_gate", 1, decoder.Hidden)),
        };
    }
}
