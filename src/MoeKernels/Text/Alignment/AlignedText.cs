namespace MoeKernels.Text.Alignment;

/// <summary>
/// Text as code points, each with the range of the original text it came from: what lets a token name its place in the
/// text the caller gave, whatever the normalizers did.
/// </summary>
internal sealed class AlignedText
{
    private int[] _chars;
    private int[] _starts;
    private int[] _ends;

    public AlignedText(int capacity)
    {
        _chars = new int[capacity];
        _starts = new int[capacity];
        _ends = new int[capacity];
    }

    public int Length { get; private set; }

    /// <summary>Code points, [Length].</summary>
    public ReadOnlySpan<int> Chars => _chars.AsSpan(0, Length);

    /// <summary>First original code point of each, [Length].</summary>
    public ReadOnlySpan<int> Starts => _starts.AsSpan(0, Length);

    /// <summary>One past the last original code point of each, [Length].</summary>
    public ReadOnlySpan<int> Ends => _ends.AsSpan(0, Length);

    /// <summary>Reads UTF-16 text; every code point is its own origin.</summary>
    /// <exception cref="ArgumentException">The text holds half a surrogate pair.</exception>
    public static AlignedText FromString(string text)
    {
        var result = new AlignedText(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            int c = text[i];
            if (char.IsSurrogate(text[i]))
            {
                if (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
                    throw new ArgumentException($"Lone surrogate at UTF-16 position {i}.", nameof(text));
                c = char.ConvertToUtf32(text[i], text[++i]);
            }

            result.Add(c, result.Length, result.Length + 1);
        }

        return result;
    }

    public void Add(int codePoint, int start, int end)
    {
        if (Length == _chars.Length)
            Grow();
        (_chars[Length], _starts[Length], _ends[Length]) = (codePoint, start, end);
        Length++;
    }

    /// <summary>Adds a code point with the origin of <paramref name="source"/>'s character at an index.</summary>
    public void AddFrom(AlignedText source, int index, int codePoint) =>
        Add(codePoint, source._starts[index], source._ends[index]);

    /// <summary>Copies a range of another text with its origins.</summary>
    public void AddRange(AlignedText source, int start, int end)
    {
        for (var i = start; i < end; i++)
            Add(source._chars[i], source._starts[i], source._ends[i]);
    }

    /// <summary>Replaces each character by another one; origins stay.</summary>
    public void Map(Func<int, int> map)
    {
        for (var i = 0; i < Length; i++)
            _chars[i] = map(_chars[i]);
    }

    /// <summary>A copy of a range.</summary>
    public AlignedText Slice(int start, int end)
    {
        var result = new AlignedText(end - start);
        result.AddRange(this, start, end);
        return result;
    }

    /// <summary>
    /// Applies a list of (character, change): 0 replaces one character, 1 is inserted with the origin of the character
    /// before it, -n replaces one character and removes the n that follow.
    /// </summary>
    /// <param name="changes">The new text.</param>
    /// <param name="removed">Characters removed in front of the first one.</param>
    public AlignedText Transform(List<(int Char, int Change)> changes, int removed = 0)
    {
        var result = new AlignedText(changes.Count);
        var index = removed;
        foreach (var (c, change) in changes)
        {
            if (change > 0)
                result.Add(c, index == 0 ? 0 : _starts[index - 1], index == 0 ? 0 : _ends[index - 1]);
            else
            {
                result.AddFrom(this, Math.Min(index, Length - 1), c);
                index += 1 - change;
            }
        }

        return result;
    }

    /// <summary>Keeps the characters a predicate accepts; origins stay.</summary>
    public AlignedText Filter(Func<int, bool> keep)
    {
        var result = new AlignedText(Length);
        for (var i = 0; i < Length; i++)
        {
            if (keep(_chars[i]))
                result.AddFrom(this, i, _chars[i]);
        }

        return result;
    }

    /// <summary>Puts text in front; it shares the origin of the first character. Empty text stays empty.</summary>
    public AlignedText Prepend(ReadOnlySpan<int> text)
    {
        if (Length == 0)
            return this;
        var result = new AlignedText(Length + text.Length);
        foreach (var c in text)
            result.AddFrom(this, 0, c);
        result.AddRange(this, 0, Length);
        return result;
    }

    private void Grow()
    {
        var capacity = Math.Max(16, 2 * _chars.Length);
        Array.Resize(ref _chars, capacity);
        Array.Resize(ref _starts, capacity);
        Array.Resize(ref _ends, capacity);
    }
}
