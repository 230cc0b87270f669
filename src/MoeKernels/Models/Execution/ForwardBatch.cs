using System.Runtime.InteropServices;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Execution;

/// <summary>The rows of one sequence inside a batch.</summary>
/// <param name="State">The sequence's caches, one per stateful layer.</param>
/// <param name="FirstRow">Row of its first token in the batch.</param>
/// <param name="Rows">Its tokens in this call.</param>
/// <param name="Position">Position of its first token in the sequence.</param>
/// <param name="Mask">The visible rows of a source that is being encoded; null for decoder rows.</param>
internal readonly record struct SequenceRows(
    SequenceState State, int FirstRow, int Rows, int Position, SourceMask? Mask = null);

/// <summary>The tokens of one forward call: one or several sequences, their rows one after the other.</summary>
internal sealed class ForwardBatch
{
    private readonly List<SequenceRows> _sequences = [];
    private readonly List<int> _mask = [];
    private bool _padded;

    /// <summary>Tokens of all sequences together.</summary>
    public int Rows { get; private set; }

    /// <summary>The sequences in the order of their rows; valid until the batch changes.</summary>
    public ReadOnlySpan<SequenceRows> Sequences => CollectionsMarshal.AsSpan(_sequences);

    /// <summary>1 for tokens, 0 for padding, [rows]; empty when nothing is padded.</summary>
    public ReadOnlySpan<int> Mask => _padded ? CollectionsMarshal.AsSpan(_mask) : default;

    /// <summary>Whether the rows are sources for an encoder.</summary>
    public bool HoldsSources => _sequences.Count > 0 && _sequences[0].Mask is not null;

    public void Clear()
    {
        _sequences.Clear();
        _mask.Clear();
        _padded = false;
        Rows = 0;
    }

    /// <summary>Appends the next <paramref name="rows"/> tokens of a sequence.</summary>
    /// <exception cref="MoeContextException">They do not fit the sequence's context.</exception>
    /// <exception cref="ArgumentException">The sequence is in the batch already.</exception>
    public void Add(SequenceState state, int rows)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        if (rows > state.ContextLength - state.Position)
            throw new MoeContextException(state.Position, rows, state.ContextLength);
        Append(new SequenceRows(state, Rows, rows, state.Position));
    }

    /// <summary>Appends a sequence's source for the encoder: as many rows as the mask has positions.</summary>
    /// <exception cref="ArgumentException">The sequence is in the batch already, or has decoded tokens.</exception>
    public void AddSource(SequenceState state, SourceMask mask)
    {
        if (state.Position != 0)
            throw new ArgumentException("A sequence with decoded tokens must be rewound first.", nameof(state));
        Append(new SequenceRows(state, Rows, mask.Length, 0, mask));
        for (int i = 0; i < mask.Length; i++)
            _mask.Add(mask.IsVisible(i) ? 1 : 0);
        _padded |= mask.IsPadded;
    }

    private void Append(SequenceRows rows)
    {
        foreach (ref readonly SequenceRows other in Sequences)
        {
            if (ReferenceEquals(other.State, rows.State))
                throw new ArgumentException("The sequence is in the batch already.", nameof(rows));
            if (other.Mask is null != rows.Mask is null)
                throw new ArgumentException("Sources and decoder tokens are batches of their own.", nameof(rows));
        }

        _sequences.Add(rows);
        Rows += rows.Rows;
    }
}
