using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>DeepSeek-V2, V2-Lite and Coder-V2: latent attention and softmax routing, greedy or limited to the best
/// groups.</summary>
/// <remarks>As in transformers 5, <c>norm_topk_prob</c> has no effect: weights are scaled, never normalised.</remarks>
internal sealed class DeepSeekV2Family : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["deepseek_v2"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-6f);
        var parts = new DecoderParts(decoder);
        var attention = new MlaParts(parts, interleaved: true);
        var layers = new DeepSeekLayers(parts, attention, Router(decoder), dense: 0, shared: 2);
        return parts.Model("deepseek_v2", layers.Block);
    }

    private static RouterSpec? Router(DecoderConfig decoder)
    {
        ConfigReader keys = decoder.Keys;
        if (DeepSeekLayers.Experts(decoder) is not { } experts)
            return null;
        string scoring = keys.StringOr("softmax", "scoring_func");
        if (scoring != "softmax")
            throw keys.Unsupported("scoring_func", $"the scoring function '{scoring}'");
        int topK = keys.Positive("num_experts_per_tok");
        float scale = keys.FloatOr(1f, "routed_scaling_factor");
        string method = keys.StringOr("greedy", "topk_method");
        return method switch
        {
            "greedy" => RouterSpec.DeepSeekV2Lite(experts, topK, scale),
            "group_limited_greedy" => RouterSpec.DeepSeekV2(
                experts, topK, keys.Positive("n_group"), keys.Positive("topk_group"), scale),
            _ => throw keys.Unsupported("topk_method", $"the top-k method '{method}'"),
        };
    }
}
