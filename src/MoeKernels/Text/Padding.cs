namespace MoeKernels.Text;

/// <summary>Fills encodings up to a common length.</summary>
internal static class Padding
{
    // A file may ask for any length; no model has a context near this one.
    private const int MaxLength = 1 << 24;

    /// <summary>Fills all encodings and their windows, to the longest of the encodings if no length is given.</summary>
    public static void Apply(IReadOnlyList<EncodingBuilder> encodings, PaddingOptions options)
    {
        if (encodings.Count == 0)
            return;
        long length = options.Length ?? encodings.Max(e => e.Length);
        if (options.PadToMultipleOf is > 0 and var multiple && length % multiple > 0)
            length += multiple - length % multiple;
        if (length > MaxLength)
            throw new ArgumentException($"Padding to {length} tokens is beyond the limit of {MaxLength}.");
        foreach (var encoding in encodings)
            Fill(encoding, (int)length, options);
    }

    private static void Fill(EncodingBuilder encoding, int length, PaddingOptions options)
    {
        foreach (var window in encoding.Overflowing)
            Fill(window, length, options);
        var missing = length - encoding.Length;
        if (missing <= 0)
            return;
        var pad = TokenEntry.Added(options.PadId, options.PadToken, options.PadTypeId) with { Attention = 0 };
        encoding.Tokens.InsertRange(
            options.Direction == TextSide.Left ? 0 : encoding.Length, Enumerable.Repeat(pad, missing));
    }
}
