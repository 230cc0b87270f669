using MoeKernels.Text.Alignment;
using MoeKernels.Text.Patterns;

namespace MoeKernels.Text.PreTokenizers;

/// <summary><c>ByteLevel</c>: GPT-2's split into words, then every byte as a printable character.</summary>
internal sealed class ByteLevelPreTokenizer(bool addPrefixSpace, bool useRegex) : IPreTokenizer
{
    // GPT-2's pattern, the same in the reference; contractions in lower case only.
    private static readonly Pattern Words = Pattern.Compile(
        @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+");

    private readonly PatternSplitter? _split = useRegex
        ? new PatternSplitter(Words, SplitBehavior.Isolated, false)
        : null;

    /// <inheritdoc/>
    public List<Piece> Apply(List<Piece> pieces)
    {
        if (addPrefixSpace)
            pieces = [.. pieces.Select(WithSpace)];
        if (_split is not null)
            pieces = _split.Apply(pieces);
        // All pieces share one buffer: a book has a hundred thousand of them.
        var bytes = new AlignedText(pieces.Sum(p => p.IsToken ? 0 : p.Length));
        var result = new List<Piece>(pieces.Count);
        foreach (var piece in pieces)
        {
            if (piece.IsToken)
            {
                result.Add(piece);
                continue;
            }

            var start = bytes.Length;
            ByteLevelAlphabet.Append(piece.Text, piece.Start, piece.End, bytes);
            if (bytes.Length > start)
                result.Add(new Piece(bytes, start, bytes.Length));
        }

        return result;
    }

    // The space in front has the origin of the first character.
    private static Piece WithSpace(Piece piece)
    {
        if (piece.IsToken || piece.Length == 0 || piece.Chars[0] == ' ')
            return piece;
        var text = piece.Text.Slice(piece.Start, piece.End).Prepend([' ']);
        return new Piece(text, 0, text.Length);
    }
}
