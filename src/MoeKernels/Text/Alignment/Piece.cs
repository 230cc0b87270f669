namespace MoeKernels.Text.Alignment;

/// <summary>A range of an <see cref="AlignedText"/> on its way to the model, or an added token found in it.</summary>
/// <param name="Text">The text the range lies in.</param>
/// <param name="Start">First code point.</param>
/// <param name="End">One past the last code point.</param>
/// <param name="TokenId">Id of the added token the range is, or -1 for text.</param>
internal readonly record struct Piece(AlignedText Text, int Start, int End, int TokenId = -1)
{
    public int Length => End - Start;

    public bool IsToken => TokenId >= 0;

    public ReadOnlySpan<int> Chars => Text.Chars[Start..End];

    /// <summary>Where the piece starts in the original text.</summary>
    public int OriginalStart => Length == 0 ? 0 : Text.Starts[Start];
}
