using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>What the DeepSeek families share outside attention: dense first layers, then routed ones with shared
/// experts that are stored as one network.</summary>
internal sealed class DeepSeekLayers
{
    private readonly DecoderParts _parts;
    private readonly MlaParts _attention;
    private readonly BiasRule _bias;
    private readonly RouterSpec? _router;
    private readonly int _dense;
    private readonly int _step;
    private readonly int _shared;

    /// <summary>Reads which layers are routed.</summary>
    /// <param name="parts">Shared sizes and names.</param>
    /// <param name="attention">The attention of every layer.</param>
    /// <param name="router">The router; null for a model without routed experts.</param>
    /// <param name="dense">The family's <c>first_k_dense_replace</c> where the config has none.</param>
    /// <param name="shared">The family's <c>n_shared_experts</c> where the config has none.</param>
    public DeepSeekLayers(DecoderParts parts, MlaParts attention, RouterSpec? router, int dense, int shared)
    {
        const int MostShared = 1 << 10;
        ConfigReader keys = parts.Config.Keys;
        (_parts, _attention, _router) = (parts, attention, router);
        _bias = ModelFamily.Bias(keys, "mlp_bias");
        _dense = keys.InRange(0, int.MaxValue, "first_k_dense_replace") ?? dense;
        _step = keys.PositiveOr(1, "moe_layer_freq");
        _shared = keys.IsNull("n_shared_experts") ? 0 : keys.InRange(0, MostShared, "n_shared_experts") ?? shared;
    }

    /// <summary>Routed experts of a config, or null for a dense model.</summary>
    public static int? Experts(DecoderConfig decoder) =>
        decoder.Keys.Has(ExpertKeys) ? decoder.Experts(ExpertKeys) : null;

    /// <summary>One block.</summary>
    public BlockSpec Block(int layer)
    {
        string module = $"{_parts.Layer(layer)}.mlp";
        bool routed = _router is not null && layer >= _dense && layer % _step == 0;
        return _parts.Block(
            layer,
            _attention.Attention(layer),
            routed
                ? Moe(layer, module, _router!)
                : _parts.FeedForward(module, _parts.Config.Width("intermediate_size"), _bias));
    }

    private static ReadOnlySpan<string> ExpertKeys => new[] { "n_routed_experts", "num_experts", "num_local_experts" };

    private MoeSpec Moe(int layer, string module, RouterSpec router)
    {
        int intermediate = _parts.Config.Width("moe_intermediate_size");
        return _parts.Moe(layer, module, router, intermediate) with
        {
            ChoiceBias = router.HasChoiceBias ? new TensorName($"{module}.gate.e_score_correction_bias") : null,
            Shared = _shared == 0
                ? null
                : new SharedExpertSpec(_parts.FeedForward($"{module}.shared_experts", _shared * intermediate, _bias)),
        };
    }
}
