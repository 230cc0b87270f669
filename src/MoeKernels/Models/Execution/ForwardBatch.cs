using System.Runtime.InteropServices;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Execution;

/// <summary>The rows of one sequence inside a batch.</summary>
/// <param name="State">The sequence's caches, one per stateful layer.</param>
/// <param name="FirstRow">Row of its first token in the batch.</param>
/// <param name="Rows">Its tokens in this call.</param>
/// <param name="Position">Position of its first token in the sequence.</param>
internal readonly record struct SequenceRows(SequenceState State, int FirstRow, int Rows, int Position);

/// <summary>The tokens of one forward call: one or several sequences, their rows one after the other.</summary>
internal sealed class ForwardBatch
{
    private readonly List<SequenceRows> _sequences = [];

    /// <summary>Tokens of all sequences together.</summary>
    public int Rows { get; private set; }

    /// <summary>The sequences in the order of their rows; valid until the batch changes.</summary>
    public ReadOnlySpan<SequenceRows> Sequences => CollectionsMarshal.AsSpan(_sequences);

    /// <summary>1 for tokens, 0 for padding, [rows]; null when nothing is padded.</summary>
    public int[]? Mask { get; set; }

    public void Clear()
    {
        _sequences.Clear();
        Rows = 0;
        Mask = null;
    }

    /// <summary>Appends the next <paramref name="rows"/> tokens of a sequence.</summary>
    /// <exception cref="MoeContextException">They do not fit the sequence's context.</exception>
    /// <exception cref="ArgumentException">The sequence is in the batch already.</exception>
    public void Add(SequenceState state, int rows)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        if (rows > state.ContextLength - state.Position)
            throw new MoeContextException(state.Position, rows, state.ContextLength);
        foreach (SequenceRows other in Sequences)
        {
            if (ReferenceEquals(other.State, state))
                throw new ArgumentException("The sequence is in the batch already.", nameof(state));
        }

        _sequences.Add(new SequenceRows(state, Rows, rows, state.Position));
        Rows += rows;
    }
}
