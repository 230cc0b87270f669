using MoeKernels.Models.Description;

namespace MoeKernels.Models.Placement;

/// <summary>Which layers have device kernels; the others run on the host and are named in plans and reports.</summary>
internal static class DeviceKernels
{
    /// <summary>What of a layer has no device kernel; null when all of it has.</summary>
    public static string? Missing(LayerSpec layer) => layer switch
    {
        AttentionSpec { Source: KeySource.Bidirectional } => "attention of encoders",
        AttentionSpec { Source: KeySource.Encoder } => "cross attention",
        AttentionSpec { Temperature: not null } => "attention with temperature",
        AttentionSpec { RelativeBias: not null } => "attention with relative positions",
        AttentionSpec or FeedForwardSpec or MoeSpec => null,
        MlaSpec => "multi-head latent attention",
        DeltaNetSpec => "gated delta networks",
        _ => layer.GetType().Name,
    };
}
