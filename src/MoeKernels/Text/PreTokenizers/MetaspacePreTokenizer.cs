using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.PreTokenizers;

/// <summary>When <see cref="MetaspacePreTokenizer"/> puts its replacement in front.</summary>
internal enum PrependScheme
{
    /// <summary>Unless the piece already starts with it.</summary>
    Always,
    /// <summary>As Always, but only at the start of the text.</summary>
    First,
    /// <summary>Not at all.</summary>
    Never,
}

/// <summary><c>Metaspace</c>: spaces become a visible character (usually U+2581), which starts each word.</summary>
internal sealed class MetaspacePreTokenizer(int replacement, PrependScheme scheme, bool split) : PieceSplitter
{
    /// <inheritdoc/>
    protected override void Split(Piece piece, List<Piece> result)
    {
        var text = piece.Text.Slice(piece.Start, piece.End);
        text.Map(c => c == ' ' ? replacement : c);
        var prepends = scheme == PrependScheme.Always || (scheme == PrependScheme.First && piece.OriginalStart == 0);
        if (prepends && text.Chars[0] != replacement)
            text = text.Prepend([replacement]);
        var whole = new Piece(text, 0, text.Length);
        if (!split)
        {
            result.Add(whole);
            return;
        }

        var start = 0;
        for (var i = 1; i < text.Length; i++)
        {
            if (text.Chars[i] != replacement)
                continue;
            AddPart(result, whole, start, i);
            start = i;
        }

        AddPart(result, whole, start, text.Length);
    }
}
