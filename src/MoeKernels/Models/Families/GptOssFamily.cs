using MoeKernels.Experts;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>GPT-OSS: attention sinks, alternating windows, experts with biases and a clamped, interleaved
/// SwiGLU.</summary>
internal sealed class GptOssFamily : ModelFamily
{
    private const string SlidingType = "sliding_attention";
    private const string FullType = "full_attention";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["gpt_oss"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-5f, headDim: 64);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = Rope(decoder);
        BiasRule bias = Bias(config, "attention_bias", otherwise: true);
        string[] types = decoder.LayerTypes(SlidingType, FullType)
            ?? [.. Enumerable.Range(0, decoder.Layers).Select(i => i % 2 == 0 ? SlidingType : FullType)];
        int window = config.PositiveOr(128, "sliding_window");
        return parts.Model("gpt_oss", i =>
        {
            AttentionSpec attention = parts.Attention(i, rope, bias, bias) with
            {
                Sinks = $"{parts.Layer(i)}.self_attn.sinks",
            };
            int? visible = types[i] == SlidingType ? window : null;
            return parts.Block(i, DecoderParts.Sliding(attention, visible), Moe(parts, i));
        });
    }

    /// <summary>A config that says nothing about positions means the scaling the family was released with.</summary>
    private static RopeSpec Rope(DecoderConfig decoder)
    {
        const double theta = 150000;
        if (decoder.Keys.Has("rope_parameters", "rope_scaling"))
            return decoder.Rope(theta);

        ConfigReader released = ConfigReader.Parse(decoder.Keys.Path, ReleasedRope.ToArray());
        return RopeConfig.Read(released, decoder.HeadDim, decoder.MaxContext, defaultTheta: theta);
    }

    private static ReadOnlySpan<byte> ReleasedRope => """
        { "rope_parameters": { "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
          "truncate": false, "original_max_position_embeddings": 4096 } }
        """u8;

    private static MoeSpec Moe(DecoderParts parts, int layer)
    {
        DecoderConfig decoder = parts.Config;
        ConfigReader keys = decoder.Keys;
        string module = $"{parts.Layer(layer)}.mlp";
        RouterSpec router = RouterSpec.GptOss(
            decoder.Experts("num_local_experts", "num_experts"),
            keys.PositiveOr(4, "num_experts_per_tok", "experts_per_token"));
        MoeSpec moe = parts.Moe(layer, module, router, decoder.Width("intermediate_size"));
        return moe with
        {
            RouterLinear = new LinearSpec($"{module}.router", router.Experts, decoder.Hidden, BiasRule.Required),
            Experts = moe.Experts with
            {
                Bias = BiasRule.Required,
                FusedOrder = GateUpOrder.Interleaved,
                FusedIsTransposed = true,
            },
            Activation = new Activation(
                ActivationKind.ClampedSwiGlu, Gated: true, keys.FloatOr(1.702f, "swiglu_alpha"),
                keys.FloatOr(7f, "swiglu_limit")),
            TraceModule = $"model.layers.{layer}.mlp.router",
        };
    }
}
