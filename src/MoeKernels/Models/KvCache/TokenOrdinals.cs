using System.Runtime.InteropServices;

namespace MoeKernels.Models.KvCache;

/// <summary>How many tokens of a sequence up to each position are not padding, for positions that skip
/// padding.</summary>
/// <param name="contextLength">Most positions.</param>
internal sealed class TokenOrdinals(int contextLength) : LayerState
{
    /// <summary>Longer contexts grow when they get there.</summary>
    private const int MostReserved = 1 << 14;

    private readonly List<int> _upTo = new(Math.Min(contextLength, MostReserved));

    /// <summary>Notes the token at <paramref name="position"/>, forgetting what was there and behind.</summary>
    /// <returns>Its number among the tokens that are not padding, counted from 1, or 0 for padding.</returns>
    public int Note(int position, bool padding)
    {
        int before = position == 0 ? 0 : _upTo[position - 1];
        CollectionsMarshal.SetCount(_upTo, position + 1);
        _upTo[position] = padding ? before : before + 1;
        return padding ? 0 : before + 1;
    }

    /// <inheritdoc/>
    public override void CopyFrom(LayerState source, int positions)
    {
        _upTo.Clear();
        _upTo.AddRange(CollectionsMarshal.AsSpan(((TokenOrdinals)source)._upTo)[..positions]);
    }

    /// <inheritdoc/>
    public override void Reset() => _upTo.Clear();

    /// <inheritdoc/>
    public override void Dispose()
    {
        // Managed memory only.
    }
}
