using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>A part of a model that may remember something of each sequence.</summary>
internal interface IStateful
{
    /// <summary>Index of this part's state inside <see cref="SequenceState"/>; -1 when it keeps none.</summary>
    int StateIndex { get; set; }

    /// <summary>A new state for one sequence, or null for stateless parts.</summary>
    LayerState? CreateState(int contextLength);
}
