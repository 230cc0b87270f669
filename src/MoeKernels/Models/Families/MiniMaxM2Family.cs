using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>MiniMax-M2: q/k norms over all heads together, partial rotation, sigmoid routing with a choice
/// bias.</summary>
internal sealed class MiniMaxM2Family : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["minimax_m2"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-6f, headDim: 128);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 5e6);
        int intermediate = decoder.Width("intermediate_size");
        RouterSpec router = RouterSpec.MiniMaxM2(
            decoder.Experts("num_local_experts", "num_experts"), config.PositiveOr(8, "num_experts_per_tok"));
        return parts.Model("minimax_m2", i =>
        {
            TensorName module = MixtralFamily.Module(parts.Layer(i));
            AttentionSpec attention = parts.WithQueryKeyNorm(
                parts.Attention(i, rope, BiasRule.None, BiasRule.None), i, QueryKeyNorm.FullWidth);
            MoeSpec moe = parts.Moe(i, module, router, intermediate);
            return parts.Block(i, attention, moe with
            {
                Experts = MixtralFamily.Named(moe.Experts),
                ChoiceBias = module.With(".e_score_correction_bias"),
            });
        });
    }
}
