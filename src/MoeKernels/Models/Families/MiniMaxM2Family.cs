using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>MiniMax-M2: q/k norms over all heads together, partial rotation, sigmoid routing with a choice
/// bias.</summary>
internal sealed class MiniMaxM2Family : ModelFamily
{
    /// <summary>What the first release says, as MiniMax-Text-01 does, which is another architecture.</summary>
    private const string FirstType = "minimax";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["minimax_m2", FirstType];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        Check(config);
        var decoder = new DecoderConfig(config, normEpsilon: 1e-6f, headDim: 128);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 5e6);
        bool norms = config.BoolOr(true, "use_qk_norm");
        int intermediate = decoder.Width("intermediate_size");
        RouterSpec router = RouterSpec.MiniMaxM2(
            decoder.Experts("num_local_experts", "num_experts"), config.PositiveOr(8, "num_experts_per_tok"));
        return parts.Model("minimax_m2", i =>
        {
            TensorName module = MixtralFamily.Module(parts.Layer(i));
            AttentionSpec attention = parts.Attention(i, rope, BiasRule.None, BiasRule.None);
            if (norms)
                attention = parts.WithQueryKeyNorm(attention, i, QueryKeyNorm.FullWidth);
            MoeSpec moe = parts.Moe(i, module, router, intermediate);
            return parts.Block(i, attention, moe with
            {
                Experts = MixtralFamily.Named(moe.Experts),
                ChoiceBias = module.With(".e_score_correction_bias"),
            });
        });
    }

    /// <summary>Refuses what the keys of the released configs could also say.</summary>
    private static void Check(ConfigReader keys)
    {
        string[] architectures = keys.OptionalStringArray("architectures") ?? [];
        if (keys.String("model_type") == FirstType && !architectures.Contains("MiniMaxM2ForCausalLM"))
            throw keys.Unsupported("model_type", $"the model type '{FirstType}' other than MiniMax-M2");
        string scoring = keys.StringOr("sigmoid", "scoring_func");
        if (scoring != "sigmoid")
            throw keys.Unsupported("scoring_func", $"the scoring function '{scoring}'");
        string norm = keys.StringOr("per_layer", "qk_norm_type");
        if (norm != "per_layer")
            throw keys.Unsupported("qk_norm_type", $"norms of queries and keys '{norm}'");
        if (keys.IntOr(0, "shared_intermediate_size") != 0)
            throw keys.Unsupported("shared_intermediate_size", "shared experts in MiniMax-M2");
        if ((keys.OptionalIntArray("attn_type_list") ?? []).Contains(0))
            throw keys.Unsupported("attn_type_list", "linear attention in MiniMax-M2");
    }
}
