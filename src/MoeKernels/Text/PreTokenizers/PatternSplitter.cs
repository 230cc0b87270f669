using MoeKernels.Text.Alignment;
using MoeKernels.Text.Patterns;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.PreTokenizers;

/// <summary>Cuts at the matches of a pattern: <c>Split</c>, and <c>Whitespace</c> by its pattern for words.</summary>
/// <param name="pattern">Finds delimiters; null (an empty string in the file) finds none.</param>
/// <param name="behavior">What becomes of them.</param>
/// <param name="invert">The matches are the words instead.</param>
internal sealed class PatternSplitter(Pattern? pattern, SplitBehavior behavior, bool invert) : PieceSplitter
{
    protected override void Split(Piece piece, List<Piece> result)
    {
        var matches = pattern?.FindAll(piece.Chars) ?? [];
        foreach (var (start, end) in Stretch.Parts(Stretch.Cover(matches, piece.Length, invert), behavior))
            AddPart(result, piece, piece.Start + start, piece.Start + end);
    }
}

/// <summary>
/// Cuts at single characters of a set: <c>Punctuation</c>, <c>Digits</c>, <c>WhitespaceSplit</c>,
/// <c>CharDelimiterSplit</c> and the two steps of <c>BertPreTokenizer</c>.
/// </summary>
internal sealed class CharSplitter(CodePointSet delimiters, SplitBehavior behavior) : PieceSplitter
{
    protected override void Split(Piece piece, List<Piece> result)
    {
        var matches = new List<(int Start, int End)>();
        var chars = piece.Chars;
        for (var i = 0; i < chars.Length; i++)
        {
            if (delimiters.Contains(chars[i]))
                matches.Add((i, i + 1));
        }

        foreach (var (start, end) in Stretch.Parts(Stretch.Cover(matches, piece.Length), behavior))
            AddPart(result, piece, piece.Start + start, piece.Start + end);
    }
}

/// <summary><c>FixedLength</c>: parts of a number of characters.</summary>
internal sealed class FixedLengthSplitter(int length) : PieceSplitter
{
    protected override void Split(Piece piece, List<Piece> result)
    {
        for (var start = piece.Start; start < piece.End; start += length)
            AddPart(result, piece, start, (int)Math.Min((long)start + length, piece.End));
    }
}
