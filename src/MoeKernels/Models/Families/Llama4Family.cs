using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>Llama-4's language model, alone or inside a multimodal checkpoint whose other towers are left on
/// disk.</summary>
internal sealed class Llama4Family : ModelFamily
{
    private const string ChunkedType = "chunked_attention";
    private const string FullType = "full_attention";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["llama4_text", "llama4"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        bool multimodal = config.String("model_type") == "llama4";
        ConfigReader keys = multimodal ? config.Object("text_config") : config;
        var decoder = new DecoderConfig(keys, normEpsilon: 1e-5f, headDim: 128);
        var parts = new DecoderParts(decoder, multimodal ? "language_model." : string.Empty);
        bool[] rotary = RotaryLayers(decoder);
        string[] types = decoder.LayerTypes(ChunkedType, FullType)
            ?? Array.ConvertAll(rotary, uses => uses ? ChunkedType : FullType);
        HashSet<int> routed = RoutedLayers(decoder);
        return parts.Model(config.String("model_type"), i => parts.Block(
            i,
            Attention(parts, i, rotary[i], types[i] == ChunkedType),
            routed.Contains(i)
                ? Moe(parts, i)
                : parts.FeedForward($"{parts.Layer(i)}.feed_forward", decoder.Width("intermediate_size_mlp"))));
    }

    /// <summary>Layers with rotary positions: <c>no_rope_layers</c> lists 1 for those, despite its name.</summary>
    private static bool[] RotaryLayers(DecoderConfig decoder)
    {
        const string key = "no_rope_layers";
        int[] listed = decoder.Keys.OptionalIntArray(key) ?? [];
        int interval = decoder.Keys.PositiveOr(4, "no_rope_layer_interval");
        if (listed.Length == 0)
            return [.. Enumerable.Range(0, decoder.Layers).Select(i => (i + 1) % interval != 0)];

        return listed.Length >= decoder.Layers
            ? [.. listed.Take(decoder.Layers).Select(entry => entry != 0)]
            : throw decoder.Keys.Error(key, $"has {listed.Length} entries for {decoder.Layers} layers");
    }

    private static HashSet<int> RoutedLayers(DecoderConfig decoder)
    {
        int step = decoder.Keys.PositiveOr(1, "interleave_moe_layer_step");
        return decoder.Keys.OptionalIntArray("moe_layers") is { } listed
            ? [.. listed]
            : [.. Enumerable.Range(0, decoder.Layers).Where(i => (i + 1) % step == 0)];
    }

    private static AttentionSpec Attention(DecoderParts parts, int layer, bool rotary, bool chunked)
    {
        DecoderConfig decoder = parts.Config;
        ConfigReader keys = decoder.Keys;
        BiasRule bias = Bias(keys, "attention_bias");
        AttentionSpec attention = parts.Attention(
            layer, rotary ? decoder.Rope(theta: 500000, interleaved: true) : null, bias, bias);
        if (rotary && keys.BoolOr(true, "use_qk_norm"))
        {
            NormSpec norm = new(NormKind.RmsUnweighted, string.Empty, decoder.HeadDim, decoder.NormEpsilon);
            attention = attention with { Norm = QueryKeyNorm.PerHeadAfterRope, QueryNorm = norm, KeyNorm = norm };
        }

        // Released configs say 4 here; any number but 0 switches it on.
        if (!rotary && keys.FlagOr(true, "attn_temperature_tuning"))
        {
            attention = attention with
            {
                Temperature = new TemperatureSpec(
                    keys.FloatOr(0.1f, "attn_scale"), keys.PositiveOr(8192, "floor_scale")),
            };
        }

        return chunked
            ? attention with
            {
                Window = AttentionWindow.Chunked,
                WindowSize = keys.PositiveOr(8192, "attention_chunk_size"),
            }
            : attention;
    }

    private static MoeSpec Moe(DecoderParts parts, int layer)
    {
        DecoderConfig decoder = parts.Config;
        string module = $"{parts.Layer(layer)}.feed_forward";
        RouterSpec router = RouterSpec.Llama4(
            decoder.Experts("num_local_experts", "num_experts"), decoder.Keys.PositiveOr(1, "num_experts_per_tok"));
        int intermediate = decoder.Width("intermediate_size");
        MoeSpec moe = parts.Moe(layer, module, router, intermediate);
        return moe with
        {
            RouterLinear = new LinearSpec($"{module}.router", router.Experts, decoder.Hidden),
            Experts = moe.Experts with { FusedIsTransposed = true },
            Shared = new SharedExpertSpec(parts.FeedForward($"{module}.shared_expert", intermediate)),
            TraceModule = $"model.layers.{layer}.feed_forward.router",
            TraceForm = RouterTraceForm.Scores,
        };
    }
}
