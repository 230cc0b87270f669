using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>Pangu Pro MoE (mixture of grouped experts): the same number of experts from every group, weights scaled per
/// expert and not renormalised, an ungated shared expert.</summary>
internal sealed class PanguProMoeFamily : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["PanguProMoE", "pangu_pro_moe"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        if (config.BoolOr(false, "sandwich_norm") || config.BoolOr(false, "router_enable_expert_bias"))
            throw config.Unsupported("sandwich_norm", "the second version of Pangu Pro MoE");

        var decoder = new DecoderConfig(config, normEpsilon: 1e-5f);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 16e6);
        int chosen = config.PositiveOr(8, "num_experts_per_tok");

        // Released configs have no number of groups: one expert from each.
        RouterSpec router = RouterSpec.PanguProMoe(
            decoder.Experts("num_experts"), chosen, config.PositiveOr(chosen, "num_expert_groups"));
        return parts.Model("PanguProMoE", i => parts.Block(
            i, parts.Attention(i, rope, BiasRule.WhenPresent, BiasRule.WhenPresent), Moe(parts, router, i)));
    }

    private static MoeSpec Moe(DecoderParts parts, RouterSpec router, int layer)
    {
        DecoderConfig decoder = parts.Config;
        string module = $"{parts.Layer(layer)}.mlp";
        int shared = decoder.Width("shared_expert_intermediate_size");
        return parts.Moe(layer, module, router, decoder.Width("moe_intermediate_size")) with
        {
            ExpertScale = $"{module}.router_scale",
            TraceForm = RouterTraceForm.GroupOrder,
            Shared = new SharedExpertSpec(parts.FeedForward($"{module}.shared_expert", shared)),
        };
    }
}
