using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Loading;

/// <content>Latent attention.</content>
internal sealed unsafe partial class LayerBuilder
{
    private MlaLayer Mla(MlaSpec spec) => WithState(new MlaLayer(spec, new MlaWeights
    {
        Query = binder.Linear(spec.QueryDown ?? spec.Query!),
        QueryNorm = spec.QueryNorm is null ? null : binder.Norm(spec.QueryNorm),
        QueryUp = spec.QueryUp is null ? null : binder.Linear(spec.QueryUp),
        KvDown = binder.Linear(spec.KvDown),
        KvNorm = binder.Norm(spec.KvNorm),
        KvUp = binder.Linear(spec.KvUp),
        Output = binder.Linear(spec.Output),
        Rope = Rope(spec.Rope)!,
    }));
}
