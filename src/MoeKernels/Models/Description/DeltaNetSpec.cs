using MoeKernels.Experts;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Description;

/// <summary>Gated delta net (Qwen3-Next's linear attention): a short causal convolution and a recurrent state per value
/// head.</summary>
internal sealed record DeltaNetSpec : LayerSpec
{
    public required int KeyHeads { get; init; }

    /// <summary>A multiple of <see cref="KeyHeads"/>; consecutive value heads share a key head.</summary>
    public required int ValueHeads { get; init; }

    public required int KeyDim { get; init; }

    public required int ValueDim { get; init; }

    /// <summary>Taps of the depthwise convolution.</summary>
    public required int ConvKernel { get; init; }

    /// <summary>After the convolution.</summary>
    public required ActivationKind Activation { get; init; }

    /// <summary><c>in_proj_qkvz</c>: per key head q, k, then the value and gate heads that belong to it.</summary>
    public required LinearSpec QueryKeyValueGate { get; init; }

    /// <summary><c>in_proj_ba</c>: per key head the betas and decays of its value heads.</summary>
    public required LinearSpec BetaDecay { get; init; }

    /// <summary>[channels, 1, ConvKernel].</summary>
    public required TensorName ConvWeight { get; init; }

    /// <summary>[ValueHeads].</summary>
    public required TensorName DtBias { get; init; }

    /// <summary>[ValueHeads].</summary>
    public required TensorName ALog { get; init; }

    /// <summary>RMS norm over ValueDim, followed by a SiLU gate.</summary>
    public required NormSpec Norm { get; init; }

    /// <summary>[hidden × ValueHeads * ValueDim].</summary>
    public required LinearSpec Output { get; init; }

    /// <summary>Value heads that share a key head.</summary>
    public int HeadsPerKey => ValueHeads / KeyHeads;

    /// <summary>Channels of the convolution: all queries, then all keys, then all values.</summary>
    public int Channels => (2 * KeyHeads * KeyDim) + (ValueHeads * ValueDim);

    /// <summary>Floats one worker needs for the vectors of a head.</summary>
    public long WorkerFloats => Workspace.Rounded((2L * KeyDim) + (2 * RecurrentState.Padded(ValueDim)));

    /// <inheritdoc/>
    public override long StateBytes(int contextLength) => RecurrentState.Bytes(this);

    /// <inheritdoc/>
    public override long ScratchFloats(int rows, int contextLength, int threads) =>
        Workspace.Rounded((long)rows * QueryKeyValueGate.Outputs)
        + Workspace.Rounded((long)rows * BetaDecay.Outputs)
        + (2 * Workspace.Rounded((long)rows * ValueHeads))
        + Workspace.Rounded((long)rows * ValueHeads * ValueDim)
        + (threads * WorkerFloats);
}
