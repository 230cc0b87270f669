namespace MoeKernels.Models.Description;

/// <summary>One sublayer's description: everything needed to load it, size it and run it, and no weights.</summary>
internal abstract record LayerSpec
{
    /// <summary>Bytes of the layer's state for one sequence of up to <paramref name="contextLength"/>
    /// positions.</summary>
    public virtual long StateBytes(int contextLength) => 0;

    /// <summary>Most floats the layer's forward call takes from the workspace at a time, each array rounded as
    /// <see cref="Execution.Workspace.Rounded"/> does.</summary>
    /// <param name="rows">Rows of the batch.</param>
    /// <param name="contextLength">Longest context of a sequence in it.</param>
    /// <param name="threads">Workers of the pool.</param>
    public abstract long ScratchFloats(int rows, int contextLength, int threads);
}

/// <summary><c>h += layer(norm(h))</c>: all families here normalise before the layer.</summary>
internal sealed record SublayerSpec(NormSpec Norm, LayerSpec Layer);

/// <summary>One block of a stack: its sublayers in order (attention, cross attention where there is one,
/// feed-forward).</summary>
internal sealed record BlockSpec(params SublayerSpec[] Sublayers);
