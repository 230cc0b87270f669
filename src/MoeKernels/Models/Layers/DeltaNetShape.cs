using MoeKernels.Experts;
using MoeKernels.Models.Description;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>The sizes of a gated delta net as its kernels need them, and where a projected row keeps what.</summary>
/// <remarks>A projected row has one part per key head: [q, k, values of its value heads, their gates]. The channels of
/// the convolution are [all q, all k, all values].</remarks>
internal readonly struct DeltaNetShape(DeltaNetSpec spec)
{
    public readonly int KeyHeads = spec.KeyHeads;
    public readonly int HeadsPerKey = spec.HeadsPerKey;
    public readonly int KeyDim = spec.KeyDim;
    public readonly int ValueDim = spec.ValueDim;
    public readonly int PaddedValueDim = (int)RecurrentState.Padded(spec.ValueDim);
    public readonly int Taps = spec.ConvKernel;
    public readonly int Channels = spec.Channels;
    public readonly ActivationKind Activation = spec.Activation;
    public readonly float Epsilon = spec.Norm.Epsilon;

    /// <summary>Value heads of the layer.</summary>
    public int ValueHeads => KeyHeads * HeadsPerKey;

    /// <summary>Floats of a projected row.</summary>
    public int MixedWidth => KeyHeads * KeyHeadWidth;

    /// <summary>First channel of all keys.</summary>
    public int KeyChannels => KeyHeads * KeyDim;

    /// <summary>First channel of all values.</summary>
    public int ValueChannels => 2 * KeyChannels;

    private int KeyHeadWidth => (2 * KeyDim) + (2 * HeadsPerKey * ValueDim);

    /// <summary>Where a key head's query is in a projected row; its key follows.</summary>
    public int QueryOffset(int keyHead) => keyHead * KeyHeadWidth;

    /// <summary>Where a value head is in a projected row.</summary>
    public int ValueOffset(int head) =>
        QueryOffset(head / HeadsPerKey) + (2 * KeyDim) + (head % HeadsPerKey * ValueDim);

    /// <summary>Where a value head's gate is in a projected row.</summary>
    public int GateOffset(int head) => ValueOffset(head) + (HeadsPerKey * ValueDim);
}
