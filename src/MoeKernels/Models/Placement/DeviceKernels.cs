using MoeKernels.Cuda;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Placement;

/// <summary>Which layers have device kernels; the others run on the host and are named in plans and reports.</summary>
internal static class DeviceKernels
{
    /// <summary>What of a layer has no device kernel; null when all of it has.</summary>
    public static string? Missing(LayerSpec layer) => layer switch
    {
        AttentionSpec { HeadDim: > DeviceOps.WidestValue } => "attention with wide heads",
        MlaSpec { KvRank: > DeviceOps.WidestValue } or MlaSpec { LatentDim: > DeviceOps.WidestKey } =>
            "attention over wide latents",
        MoeSpec { Router.Experts: > DeviceMoe.MostExperts } => "routers over very many experts",
        AttentionSpec or MlaSpec or FeedForwardSpec or MoeSpec => null,
        DeltaNetSpec => "gated delta networks",
        _ => layer.GetType().Name,
    };
}
