namespace MoeKernels.Text.Unicode;

/// <summary>An immutable set of code points: sorted ranges and, from first use, a bitmap of the basic plane.</summary>
internal sealed class CodePointSet
{
    public const int MaxCodePoint = 0x10FFFF;
    private readonly int[] _ranges;
    private ulong[]? _bitmap;

    /// <param name="ranges">[low, high] pairs, both inclusive, ascending and not touching.</param>
    private CodePointSet(int[] ranges) => _ranges = ranges;

    /// <summary>No code point.</summary>
    public static CodePointSet Empty { get; } = new([]);

    /// <summary>Every code point, surrogates included.</summary>
    public static CodePointSet All { get; } = new([0, MaxCodePoint]);

    /// <summary>[low, high] pairs, both inclusive, ascending.</summary>
    public ReadOnlySpan<int> Ranges => _ranges;

    /// <summary>One code point.</summary>
    public static CodePointSet Single(int codePoint) => new([codePoint, codePoint]);

    /// <summary>Builds a set from [low, high] pairs in any order; overlaps are joined.</summary>
    public static CodePointSet Of(params IEnumerable<(int Low, int High)> ranges)
    {
        var joined = new List<int>();
        foreach (var (low, high) in ranges.OrderBy(r => r.Low))
        {
            if (joined.Count > 0 && low <= joined[^1] + 1)
                joined[^1] = Math.Max(joined[^1], high);
            else
            {
                joined.Add(low);
                joined.Add(high);
            }
        }

        return new CodePointSet([.. joined]);
    }

    public bool Contains(int codePoint)
    {
        // Literals and small classes, of which a pattern may have thousands, need no bitmap of 8 KiB each.
        if ((uint)codePoint >= 0x10000 || _ranges.Length <= 8)
            return Search(codePoint);
        var bitmap = _bitmap ?? BuildBitmap();
        return (bitmap[codePoint >> 6] >> (codePoint & 63) & 1) != 0;
    }

    /// <summary>Members of either set.</summary>
    public CodePointSet Union(CodePointSet other) => Of(Pairs().Concat(other.Pairs()));

    /// <summary>All code points that are not members.</summary>
    public CodePointSet Negate()
    {
        var ranges = new List<int>();
        var next = 0;
        for (var i = 0; i < _ranges.Length; i += 2)
        {
            if (_ranges[i] > next)
            {
                ranges.Add(next);
                ranges.Add(_ranges[i] - 1);
            }

            next = _ranges[i + 1] + 1;
        }

        if (next <= MaxCodePoint)
        {
            ranges.Add(next);
            ranges.Add(MaxCodePoint);
        }

        return new CodePointSet([.. ranges]);
    }

    /// <summary>Members of both sets, by De Morgan's law.</summary>
    public CodePointSet Intersect(CodePointSet other) => Negate().Union(other.Negate()).Negate();

    /// <summary>The ranges as pairs, both ends inclusive, ascending.</summary>
    public IEnumerable<(int Low, int High)> Pairs()
    {
        for (var i = 0; i < _ranges.Length; i += 2)
            yield return (_ranges[i], _ranges[i + 1]);
    }

    // Binary search over the ranges.
    private bool Search(int codePoint)
    {
        var (low, high) = (0, _ranges.Length / 2 - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (codePoint < _ranges[2 * middle])
                high = middle - 1;
            else if (codePoint > _ranges[2 * middle + 1])
                low = middle + 1;
            else
                return true;
        }

        return false;
    }

    // Two threads may build the same bitmap; either one is right.
    private ulong[] BuildBitmap()
    {
        var bitmap = new ulong[0x10000 / 64];
        for (var i = 0; i < _ranges.Length; i += 2)
        {
            for (var c = _ranges[i]; c <= Math.Min(_ranges[i + 1], 0xFFFF); c++)
                bitmap[c >> 6] |= 1UL << (c & 63);
        }

        _bitmap = bitmap;
        return bitmap;
    }
}
