using MoeKernels.Text.Alignment;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.PreTokenizers;

/// <summary><c>UnicodeScripts</c>: cuts where the script changes; Hiragana and Katakana count as Han.</summary>
/// <remarks>
/// The reference's table is that of Unicode 9. Of the characters assigned then, four have changed their script since.
/// </remarks>
internal sealed class ScriptSplitter : PieceSplitter
{
    // Fits to every script.
    private const int Any = -1;
    private static readonly Lazy<(int Low, int High, int Script)[]> Scripts = new(Collect);
    private static readonly string[] Names = [.. UnicodeTables.ScriptNames];
    private static readonly int Han = Array.IndexOf(Names, "Han");
    private static readonly int Common = Array.IndexOf(Names, "Common");
    private static readonly int Devanagari = Array.IndexOf(Names, "Devanagari");

    /// <inheritdoc/>
    protected override void Split(Piece piece, List<Piece> result)
    {
        var chars = piece.Chars;
        var start = -1;
        var last = int.MinValue;
        for (var i = 0; i < chars.Length; i++)
        {
            var script = ScriptOf(chars[i]);
            // A space or an unknown character at the start belongs to no part and is dropped, as in the reference.
            if (script != Any && last != Any && script != last)
            {
                if (start >= 0)
                    AddPart(result, piece, piece.Start + start, piece.Start + i);
                start = i;
            }

            if (script != Any)
                last = script;
        }

        if (start >= 0)
            AddPart(result, piece, piece.Start + start, piece.End);
    }

    // Index of the script by binary search over the ranges of all scripts.
    private static int ScriptOf(int c)
    {
        if (c == ' ' || !UnicodeTables.Assigned9.Contains(c))
            return Any;
        switch (c)
        {
            case 0x30FC: // prolonged sound mark
                return Han;
            case 0x589 or 0x61C:
                return Common;
            case 0x953 or 0x954:
                return Devanagari;
        }

        var table = Scripts.Value;
        var (low, high) = (0, table.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (c < table[middle].Low)
                high = middle - 1;
            else if (c > table[middle].High)
                low = middle + 1;
            else
                return table[middle].Script;
        }

        return Any;
    }

    // Ranges of all scripts in one ascending table, built at the first use of this rare step.
    private static (int Low, int High, int Script)[] Collect()
    {
        var result = new List<(int Low, int High, int Script)>();
        for (var i = 0; i < Names.Length; i++)
        {
            var script = Names[i] is "Hiragana" or "Katakana" ? Han : i;
            result.AddRange(UnicodeTables.Script(Names[i]).Pairs().Select(p => (p.Low, p.High, script)));
        }

        return [.. result.OrderBy(r => r.Low)];
    }
}
