namespace MoeKernels.Models.KvCache;

/// <summary>Which positions of a source sequence attention may see. Immutable.</summary>
internal sealed class SourceMask
{
    private readonly bool[]? _visible;

    /// <param name="mask">1 for tokens, 0 for padding, [positions].</param>
    /// <exception cref="ArgumentException">A number is neither, or every position is padding.</exception>
    public SourceMask(ReadOnlySpan<int> mask)
    {
        if (mask.IndexOfAnyExcept(0, 1) >= 0)
            throw new ArgumentException("An attention mask holds 0 and 1 only.", nameof(mask));
        Length = mask.Length;
        First = mask.IndexOf(1);
        Last = mask.LastIndexOf(1);
        if (First < 0)
            throw new ArgumentException("An attention mask hides every token of a sequence.", nameof(mask));
        if (mask[First..(Last + 1)].Contains(0))
            _visible = Array.ConvertAll(mask.ToArray(), token => token == 1);
    }

    private SourceMask(int length) => (Length, First, Last) = (length, 0, length - 1);

    /// <summary>Positions, padding included.</summary>
    public int Length { get; }

    /// <summary>First and last position that may be seen.</summary>
    public int First { get; }

    /// <inheritdoc cref="First"/>
    public int Last { get; }

    /// <summary>Whether any position is hidden.</summary>
    public bool IsPadded => HasHoles || First > 0 || Last < Length - 1;

    /// <summary>Whether a position between the first and the last visible one is hidden.</summary>
    public bool HasHoles => _visible is not null;

    /// <summary>A source without padding.</summary>
    public static SourceMask All(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        return new SourceMask(length);
    }

    /// <summary>Whether a position may be seen.</summary>
    public bool IsVisible(int position) =>
        position >= First && position <= Last && (_visible is null || _visible[position]);
}
