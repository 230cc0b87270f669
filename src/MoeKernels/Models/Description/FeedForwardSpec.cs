using MoeKernels.Experts;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Description;

/// <summary>A dense feed-forward network: <c>down(act(gate x) * up x)</c>, or <c>down(act(up x))</c> without a
/// gate.</summary>
internal sealed record FeedForwardSpec : LayerSpec
{
    public required Activation Activation { get; init; }

    /// <summary>Null when the activation is not gated.</summary>
    public LinearSpec? Gate { get; init; }

    public required LinearSpec Up { get; init; }

    public required LinearSpec Down { get; init; }

    /// <inheritdoc/>
    public override long ScratchFloats(int rows, int contextLength, int threads) =>
        Workspace.Rounded((long)rows * Up.Outputs);
}
