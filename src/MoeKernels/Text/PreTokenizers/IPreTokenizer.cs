using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.PreTokenizers;

/// <summary>A step that cuts text into words; immutable.</summary>
internal interface IPreTokenizer
{
    /// <summary>Cuts every piece that is not an added token; empty pieces are dropped.</summary>
    List<Piece> Apply(List<Piece> pieces);
}

/// <summary>Base of the steps that cut each piece on its own.</summary>
internal abstract class PieceSplitter : IPreTokenizer
{
    public List<Piece> Apply(List<Piece> pieces)
    {
        var result = new List<Piece>(pieces.Count);
        foreach (var piece in pieces)
        {
            if (piece.IsToken)
                result.Add(piece);
            else if (piece.Length > 0)
                Split(piece, result);
        }

        return result;
    }

    /// <summary>Adds the parts of one piece that is not empty.</summary>
    protected abstract void Split(Piece piece, List<Piece> result);

    /// <summary>Adds a part unless it is empty.</summary>
    protected static void AddPart(List<Piece> result, Piece piece, int start, int end)
    {
        if (end > start)
            result.Add(piece with { Start = start, End = end });
    }
}

/// <summary>Steps one after another.</summary>
internal sealed class PreTokenizerSequence(IReadOnlyList<IPreTokenizer> steps) : IPreTokenizer
{
    public List<Piece> Apply(List<Piece> pieces)
    {
        foreach (var step in steps)
            pieces = step.Apply(pieces);
        return pieces;
    }
}
