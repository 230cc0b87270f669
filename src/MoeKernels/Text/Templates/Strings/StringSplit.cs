namespace MoeKernels.Text.Templates;

/// <summary>Splitting text.</summary>
internal static class StringSplit
{
    public static PyList Split(string text, Arguments arguments)
    {
        BoundArguments bound = arguments.Bind("split", 0, "sep", "maxsplit");
        int most = bound.Int(1, -1);
        return MakeList(bound.HasValue(0)
            ? BySeparator(text, Separator(bound.Text(0)), most < 0 ? int.MaxValue : most)
            : Words(text, most < 0 ? int.MaxValue : most));
    }

    public static PyList SplitRight(string text, Arguments arguments)
    {
        BoundArguments bound = arguments.Bind("rsplit", 0, "sep", "maxsplit");
        int most = bound.Int(1, -1);
        List<string> parts = bound.HasValue(0)
            ? BySeparatorRight(text, Separator(bound.Text(0)), most < 0 ? int.MaxValue : most)
            : WordsRight(text, most < 0 ? int.MaxValue : most);
        parts.Reverse();
        return MakeList(parts);
    }

    public static PyList Lines(string text, Arguments arguments)
    {
        bool keepEnds = arguments.Bind("splitlines", 0, "keepends").Flag(0);
        return MakeList(PyText.Lines(text, keepEnds));
    }

    public static PyTuple Partition(string text, Arguments arguments, bool last)
    {
        string separator = Separator(arguments.Take("partition", 1, 1).Text(0));
        int at = last
            ? text.LastIndexOf(separator, StringComparison.Ordinal)
            : text.IndexOf(separator, StringComparison.Ordinal);
        Budget.ChargeText(text.Length);
        if (at < 0)
            return new PyTuple(last ? ["", "", text] : [text, "", ""]);
        return new PyTuple([text[..at], separator, text[(at + separator.Length)..]]);
    }

    private static string Separator(string separator) =>
        separator.Length > 0 ? separator : throw PyError.Value("empty separator");

    private static PyList MakeList(IEnumerable<string> parts)
    {
        var items = new List<object?>();
        foreach (string part in parts)
        {
            Budget.ChargeItems(1);
            Budget.ChargeText(part.Length);
            items.Add(part);
        }

        return new PyList([.. items]);
    }

    private static IEnumerable<string> BySeparator(string text, string separator, int most)
    {
        int from = 0;
        for (; most > 0; most--)
        {
            int at = text.IndexOf(separator, from, StringComparison.Ordinal);
            if (at < 0)
                break;
            yield return text[from..at];
            from = at + separator.Length;
        }

        yield return text[from..];
    }

    private static List<string> BySeparatorRight(string text, string separator, int most)
    {
        var parts = new List<string>();
        int to = text.Length;
        for (; most > 0; most--)
        {
            int at = to < separator.Length ? -1 : text.AsSpan(0, to).LastIndexOf(separator);
            if (at < 0)
                break;
            Budget.ChargeItems(1);
            parts.Add(text[(at + separator.Length)..to]);
            to = at;
        }

        parts.Add(text[..to]);
        return parts;
    }

    private static IEnumerable<string> Words(string text, int most)
    {
        for (int from = 0; ;)
        {
            while (from < text.Length && PyText.IsSpace(text[from]))
                from++;
            if (from == text.Length)
                yield break;
            int to = from;
            while (to < text.Length && !PyText.IsSpace(text[to]))
                to++;
            // What is left over stays as it is, trailing white space included.
            yield return most-- > 0 ? text[from..to] : text[from..];
            if (most < 0)
                yield break;
            from = to;
        }
    }

    private static List<string> WordsRight(string text, int most)
    {
        var parts = new List<string>();
        for (int to = text.Length; ;)
        {
            while (to > 0 && PyText.IsSpace(text[to - 1]))
                to--;
            if (to == 0)
                return parts;
            int from = to;
            while (from > 0 && !PyText.IsSpace(text[from - 1]))
                from--;
            Budget.ChargeItems(1);
            parts.Add(most-- > 0 ? text[from..to] : text[..to]);
            if (most < 0)
                return parts;
            to = from;
        }
    }
}
