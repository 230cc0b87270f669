namespace MoeKernels.Models.KvCache;

/// <summary>The caches of one sequence: one state per stateful layer, and how far the sequence is.</summary>
/// <remarks>Not thread-safe; the model it belongs to is.</remarks>
internal sealed class SequenceState(LayerState[] layers, int contextLength) : IDisposable
{
    /// <summary>Positions already computed.</summary>
    public int Position { get; private set; }

    /// <summary>Positions the caches hold.</summary>
    public int ContextLength => contextLength;

    /// <summary>Whether <see cref="Rewind"/> can go back to any position.</summary>
    public bool CanRewind => Array.TrueForAll(layers, layer => layer.CanRewind);

    public LayerState this[int index] => layers[index];

    /// <summary>Marks <paramref name="rows"/> more positions as computed, once a whole forward call has succeeded: a
    /// call that fails half-way leaves the sequence where it was.</summary>
    public void Advance(int rows) => Position += rows;

    /// <summary>Forgets every position from <paramref name="position"/> on.</summary>
    /// <exception cref="InvalidOperationException">A layer's state is recurrent and <paramref name="position"/> is not
    /// 0.</exception>
    public void Rewind(int position)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position, Position);
        if (position == 0)
        {
            foreach (var layer in layers)
            {
                layer.Reset();
            }
        }
        else if (position < Position && !CanRewind)
        {
            throw new InvalidOperationException("A recurrent state can only be rewound to the start.");
        }

        Position = position;
    }

    /// <summary>Takes over another sequence of the same model, position included.</summary>
    public void CopyFrom(SequenceState source)
    {
        for (int i = 0; i < layers.Length; i++)
        {
            layers[i].CopyFrom(source[i], source.Position);
        }

        Position = source.Position;
    }

    public void Dispose()
    {
        foreach (var layer in layers)
        {
            layer.Dispose();
        }
    }
}
