using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>Mixtral: every layer routed, softmax before top-k, renormalised.</summary>
internal sealed class MixtralFamily : ModelFamily
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["mixtral"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var decoder = new DecoderConfig(config, normEpsilon: 1e-5f);
        var parts = new DecoderParts(decoder);
        RopeSpec rope = decoder.Rope(theta: 1e6);
        int? window = config.OptionalPositive("sliding_window");
        int intermediate = decoder.Width("intermediate_size");
        RouterSpec router = RouterSpec.Mixtral(
            decoder.Experts("num_local_experts", "num_experts"), config.PositiveOr(2, "num_experts_per_tok"));
        return parts.Model("mixtral", i =>
        {
            AttentionSpec attention = parts.Attention(i, rope, BiasRule.None, BiasRule.None);
            MoeSpec moe = parts.Moe(i, Module(parts.Layer(i)), router, intermediate);
            return parts.Block(i, DecoderParts.Sliding(attention, window), moe with { Experts = Named(moe.Experts) });
        });
    }

    /// <summary>Released files say <c>block_sparse_moe</c>, those saved by transformers 5 in its own layout
    /// <c>mlp</c>.</summary>
    internal static TensorName Module(string layer) => new($"{layer}.block_sparse_moe", $"{layer}.mlp");

    /// <summary>The names of Mixtral's matrices: w1 gate, w3 up, w2 down.</summary>
    internal static ExpertsSpec Named(ExpertsSpec experts) => experts with { Gate = "w1", Up = "w3", Down = "w2" };
}
