namespace MoeKernels.Models.KvCache;

/// <summary>What one layer remembers of one sequence.</summary>
internal abstract class LayerState : IDisposable
{
    /// <summary>Whether earlier positions can be returned to by forgetting the later ones; false for recurrent
    /// states.</summary>
    public virtual bool CanRewind => true;

    /// <summary>Copies the first <paramref name="positions"/> positions of another state of the same layer into this
    /// one.</summary>
    public abstract void CopyFrom(LayerState source, int positions);

    /// <summary>Back to the empty sequence.</summary>
    public abstract void Reset();

    public abstract void Dispose();
}
