using MoeKernels.Cpu;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Layers;

/// <summary>What one call of a <see cref="RoutedLayer"/> works with.</summary>
internal readonly ref struct RoutedCall
{
    /// <summary>Threads.</summary>
    public required WorkerPool Pool { get; init; }

    /// <summary>Scratch memory, at least <see cref="RoutedLayer.ScratchFloats"/> free.</summary>
    public required Workspace Workspace { get; init; }

    /// <summary>T.</summary>
    public required int Tokens { get; init; }

    /// <summary>First token of every sequence; empty when all tokens are one sequence.</summary>
    public ReadOnlySpan<int> SequenceStarts { get; init; }

    /// <summary>1 for tokens, 0 for padding, [T]; empty when nothing is padded.</summary>
    public ReadOnlySpan<int> Mask { get; init; }

    /// <summary>Receives what the router did; null in normal use.</summary>
    public IForwardTrace? Trace { get; init; }
}
