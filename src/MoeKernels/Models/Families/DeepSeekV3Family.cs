using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>DeepSeek-V3 and R1, and Kimi-K2: latent attention and sigmoid routing with a choice bias, limited to the
/// best groups.</summary>
/// <remarks>Layers for multi-token prediction (<c>num_nextn_predict_layers</c>) lie behind the last one and are not
/// used.</remarks>
internal sealed class DeepSeekV3Family : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["deepseek_v3", "kimi_k2"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-6f);
        var parts = new DecoderParts(decoder);
        var attention = new MlaParts(parts, config.BoolOr(true, "rope_interleave"));
        var layers = new DeepSeekLayers(parts, attention, Router(decoder), dense: 3, shared: 1);
        return parts.Model(config.String("model_type"), layers.Block);
    }

    private static RouterSpec? Router(DecoderConfig decoder)
    {
        ConfigReader keys = decoder.Keys;
        if (DeepSeekLayers.Experts(decoder) is not { } experts)
            return null;
        string scoring = keys.StringOr("sigmoid", "scoring_func");
        if (scoring != "sigmoid")
            throw keys.Unsupported("scoring_func", $"the scoring function '{scoring}'");
        string method = keys.StringOr("noaux_tc", "topk_method");
        if (method != "noaux_tc")
            throw keys.Unsupported("topk_method", $"the top-k method '{method}'");
        return RouterSpec.DeepSeekV3(
            experts,
            keys.PositiveOr(8, "num_experts_per_tok"),
            keys.PositiveOr(8, "n_group"),
            keys.PositiveOr(4, "topk_group"),
            keys.FloatOr(2.5f, "routed_scaling_factor"),
            keys.BoolOr(true, "norm_topk_prob"));
    }
}
