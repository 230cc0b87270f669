namespace MoeKernels.Compression;

/// <summary>Token windows that a model is calibrated with; each starts with an empty context.</summary>
/// <param name="Tokens">Ids, [windows × length].</param>
/// <param name="Length">Tokens of a window.</param>
internal sealed record CalibrationWindows(int[] Tokens, int Length)
{
    /// <summary>Number of windows.</summary>
    public int Count => Tokens.Length / Length;

    /// <summary>Cuts windows out of a text, spread evenly over it.</summary>
    /// <param name="ids">The text.</param>
    /// <param name="length">Tokens of a window.</param>
    /// <param name="tokens">Tokens wanted; as many whole windows as the text has are taken at most.</param>
    /// <exception cref="ArgumentException">The text is shorter than one window.</exception>
    public static CalibrationWindows Spread(ReadOnlySpan<int> ids, int length, int tokens)
    {
        if (ids.Length < length)
        {
            throw new ArgumentException(
                $"The calibration text has {ids.Length} tokens; one window takes {length}.", nameof(ids));
        }

        int count = Math.Clamp(tokens / length, 1, ids.Length / length);
        int[] taken = new int[count * length];
        for (int i = 0; i < count; i++)
        {
            int start = (int)((long)i * (ids.Length - length) / Math.Max(count - 1, 1));
            ids.Slice(start, length).CopyTo(taken.AsSpan(i * length));
        }

        return new CalibrationWindows(taken, length);
    }

    /// <summary>A decoder's inputs where these are what it shall write.</summary>
    /// <param name="start">Its first input in every window.</param>
    public CalibrationWindows Behind(int start)
    {
        int[] taken = new int[Tokens.Length];
        for (int i = 0; i < taken.Length; i++)
            taken[i] = i % Length == 0 ? start : Tokens[i - 1];
        return new CalibrationWindows(taken, Length);
    }

    /// <summary>Some windows, spread evenly over these.</summary>
    public CalibrationWindows Sample(int count)
    {
        if (count >= Count)
            return this;
        int[] taken = new int[count * Length];
        for (int i = 0; i < count; i++)
        {
            int window = (int)(((2L * i) + 1) * Count / (2 * count));
            Tokens.AsSpan(window * Length, Length).CopyTo(taken.AsSpan(i * Length));
        }

        return new CalibrationWindows(taken, Length);
    }
}
