using MoeKernels.Formats;

namespace MoeKernels.Models.Families;

/// <summary>Which layers of the Qwen families are routed: every <c>decoder_sparse_step</c>-th that is not in
/// <c>mlp_only_layers</c>.</summary>
internal sealed class SparseLayers(ConfigReader config)
{
    private readonly int _step = config.PositiveOr(1, "decoder_sparse_step");
    private readonly int[] _dense = config.OptionalIntArray("mlp_only_layers") ?? [];

    /// <summary>Whether a layer is routed.</summary>
    public bool Has(int layer) => (layer + 1) % _step == 0 && !_dense.Contains(layer);
}
