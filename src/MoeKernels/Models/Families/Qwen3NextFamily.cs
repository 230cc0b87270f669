using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>Qwen3-Next: gated delta nets, every fourth layer full attention with an output gate; norms around
/// 1.</summary>
/// <remarks>The tensors of multi-token prediction (<c>mtp.*</c>) are not used.</remarks>
internal sealed class Qwen3NextFamily : ModelFamily
{
    private const string Full = "full_attention";
    private const string Linear = "linear_attention";

    // With at most 2^14 heads, products of extents stay inside 32 bits.
    private const int MostHeads = 1 << 14;
    private const int WidestHead = 1 << 14;
    private const int MostTaps = 64;

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["qwen3_next"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-6f, headDim: 256);
        var parts = new DecoderParts(decoder, norm: NormKind.RmsPlusOne);
        RopeSpec rope = decoder.Rope(theta: 10000, partial: 0.25);
        BiasRule bias = Bias(config, "attention_bias");
        string[] types = LayerTypes(decoder);
        var sparse = new SparseLayers(config);
        bool routed = config.IntOr(512, "num_experts", "num_local_experts") > 0;
        return parts.Model("qwen3_next", i => parts.Block(
            i,
            types[i] == Full ? Attention(parts, i, rope, bias) : DeltaNet(parts, i),
            routed && sparse.Has(i)
                ? Moe(parts, i)
                : parts.FeedForward($"{parts.Layer(i)}.mlp", decoder.Width("intermediate_size"))));
    }

    private static string[] LayerTypes(DecoderConfig decoder)
    {
        int interval = decoder.Keys.PositiveOr(4, "full_attention_interval");
        return decoder.LayerTypes(Full, Linear) ?? [.. Enumerable.Range(0, decoder.Layers).Select(
            i => (i + 1) % interval == 0 ? Full : Linear)];
    }

    private static AttentionSpec Attention(DecoderParts parts, int layer, RopeSpec rope, BiasRule bias)
    {
        AttentionSpec attention = parts.Attention(layer, rope, bias, bias);
        return parts.WithQueryKeyNorm(attention, layer, QueryKeyNorm.PerHead) with
        {
            OutputGate = true,
            Query = attention.Query with { Outputs = 2 * attention.Query.Outputs },
        };
    }

    private static DeltaNetSpec DeltaNet(DecoderParts parts, int layer)
    {
        DecoderConfig decoder = parts.Config;
        ConfigReader keys = decoder.Keys;
        int keyHeads = keys.InRange(1, MostHeads, "linear_num_key_heads") ?? 16;
        int valueHeads = keys.InRange(1, MostHeads, "linear_num_value_heads") ?? 32;
        int keyDim = keys.InRange(1, WidestHead, "linear_key_head_dim") ?? 128;
        int valueDim = keys.InRange(1, WidestHead, "linear_value_head_dim") ?? 128;
        if (valueHeads % keyHeads != 0)
            throw keys.Error("linear_num_key_heads", $"{keyHeads} does not divide {valueHeads} value heads");

        string module = $"{parts.Layer(layer)}.linear_attn";
        int keyWidth = keyHeads * keyDim;
        int valueWidth = valueHeads * valueDim;
        return new DeltaNetSpec
        {
            KeyHeads = keyHeads,
            ValueHeads = valueHeads,
            KeyDim = keyDim,
            ValueDim = valueDim,
            ConvKernel = keys.InRange(1, MostTaps, "linear_conv_kernel_dim") ?? 4,
            Activation = decoder.Activation.Kind,
            QueryKeyValueGate = new LinearSpec(
                $"{module}.in_proj_qkvz", (2 * keyWidth) + (2 * valueWidth), decoder.Hidden),
            BetaDecay = new LinearSpec($"{module}.in_proj_ba", 2 * valueHeads, decoder.Hidden),
            ConvWeight = $"{module}.conv1d.weight",
            DtBias = $"{module}.dt_bias",
            ALog = $"{module}.A_log",
            Norm = new NormSpec(NormKind.Rms, $"{module}.norm", valueDim, decoder.NormEpsilon),
            Output = new LinearSpec($"{module}.out_proj", decoder.Hidden, valueWidth),
        };
    }

    private static MoeSpec Moe(DecoderParts parts, int layer)
    {
        DecoderConfig decoder = parts.Config;
        ConfigReader keys = decoder.Keys;
        string module = $"{parts.Layer(layer)}.mlp";
        RouterSpec router = RouterSpec.Qwen3Next(
            decoder.Experts("num_experts", "num_local_experts"),
            keys.PositiveOr(10, "num_experts_per_tok"),
            keys.BoolOr(true, "norm_topk_prob"));
        return parts.Moe(layer, module, router, decoder.Width("moe_intermediate_size")) with
        {
            Shared = new SharedExpertSpec(
                parts.FeedForward($"{module}.shared_expert", decoder.Width("shared_expert_intermediate_size")),
                new LinearSpec($"{module}.shared_expert_gate", 1, decoder.Hidden)),
        };
    }
}
