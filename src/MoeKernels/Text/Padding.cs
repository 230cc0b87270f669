namespace MoeKernels.Text;

/// <summary>Fills encodings up to a common length.</summary>
internal static class Padding
{
    /// <summary>Fills all encodings and their windows, to the longest of the encodings if no length is given.</summary>
    public static void Apply(IReadOnlyList<EncodingBuilder> encodings, PaddingOptions options)
    {
        if (encodings.Count == 0)
            return;
        var length = options.Length ?? encodings.Max(e => e.Length);
        if (options.PadToMultipleOf is > 0 and var multiple && length % multiple > 0)
            length = checked(length + multiple - length % multiple);
        foreach (var encoding in encodings)
            Fill(encoding, length, options);
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
