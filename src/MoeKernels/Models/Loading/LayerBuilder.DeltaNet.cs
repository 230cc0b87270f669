using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Loading;

/// <content>Gated delta nets.</content>
internal sealed unsafe partial class LayerBuilder
{
    private DeltaNetLayer DeltaNet(DeltaNetSpec spec)
    {
        float* rate = binder.Vector(spec.ALog, spec.ValueHeads);
        Activations.Exp(rate, rate, spec.ValueHeads);
        Vec.Scale(rate, -1, rate, spec.ValueHeads);
        return WithState(new DeltaNetLayer(spec, new DeltaNetWeights
        {
            QueryKeyValueGate = binder.Linear(spec.QueryKeyValueGate),
            BetaDecay = binder.Linear(spec.BetaDecay),
            Convolution = Convolution(spec),
            DtBias = binder.Vector(spec.DtBias, spec.ValueHeads),
            Rate = rate,
            Norm = binder.Vector(spec.Norm.Module.With(".weight"), spec.ValueDim),
            Output = binder.Linear(spec.Output),
        }));
    }

    /// <summary>The convolution's weights with the channels innermost, as the kernel walks them.</summary>
    private float* Convolution(DeltaNetSpec spec)
    {
        float[] stored = binder.Singles(spec.ConvWeight, spec.Channels, 1, spec.ConvKernel);
        float* weight = binder.Memory.Allocate<float>(stored.Length, spec.ConvWeight.First);
        for (int i = 0; i < stored.Length; i++)
            weight[((nint)(i % spec.ConvKernel) * spec.Channels) + (i / spec.ConvKernel)] = stored[i];
        return weight;
    }
}
