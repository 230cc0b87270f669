using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>Filters that lay text out: centre, indent, truncate, wrap.</summary>
internal static class LayoutFilters
{
    public static readonly Dictionary<string, Filter> All = new(StringComparer.Ordinal)
    {
        ["center"] = (_, value, arguments) => PyText.Pad(
            PyValue.ToText(value), arguments.Bind("center", 0, "width").Int(0, 80), ' ', true, true),
        ["indent"] = (_, value, arguments) => Indent(
            RequireText(value, "indent"), arguments.Bind("indent", 0, "width", "first", "blank")),
        ["truncate"] = (_, value, arguments) => Truncate(
            value, arguments.Bind("truncate", 0, "length", "killwords", "end", "leeway")),
        ["wordwrap"] = (_, value, arguments) => WordWrap(RequireText(value, "wordwrap"), arguments.Bind(
            "wordwrap", 0, "width", "break_long_words", "wrapstring", "break_on_hyphens")),
    };

    private static string RequireText(object? value, string filter) => PyValue.TryText(value, out string text)
        ? text
        : throw (value is Undefined undefined
            ? undefined.Error()
            : value is PyList || filter != "indent"
            ? new PyError("AttributeError", $"'{PyValue.TypeName(value)}' object has no attribute 'splitlines'")
            : PyError.Type($"unsupported operand type(s) for +=: '{PyValue.TypeName(value)}' and 'str'"));

    private static string Indent(string text, BoundArguments arguments)
    {
        string indentation = arguments.Has(0) && PyValue.TryText(arguments[0], out string given)
            ? given
            : PyText.Repeat(" ", Math.Max(0, arguments.Int(0, 4)));
        bool blank = arguments.Flag(2);
        var result = new StringBuilder();
        bool first = true;
        foreach (string line in PyText.Lines(text + "\n"))
        {
            bool indented = first ? arguments.Flag(1) : blank || line.Length > 0;
            Budget.ChargeText(line.Length + 1 + indentation.Length);
            result.Append(first ? "" : "\n").Append(indented ? indentation : "").Append(line);
            first = false;
        }

        return result.ToString();
    }

    private static object? Truncate(object? value, BoundArguments arguments)
    {
        int length = arguments.Int(0, 255);
        bool killWords = arguments.Flag(1);
        string end = arguments.Text(2, "...");
        int leeway = arguments.Int(3, 5);
        int endLength = PyText.Length(end);
        if (length < endLength)
            throw new PyError("AssertionError", $"expected length >= {endLength}, got {length}");
        if (leeway < 0)
            throw new PyError("AssertionError", $"expected leeway >= 0, got {leeway}");
        if (PyValue.Length(value) <= length + leeway)
            return value;
        string text = RequireText(value, "truncate");
        string kept = PyText.Substring(text, 0, length - endLength);
        Budget.ChargeText(kept.Length + end.Length);
        int blank = killWords ? -1 : kept.LastIndexOf(' ');
        return (blank < 0 ? kept : kept[..blank]) + end;
    }

    private static string WordWrap(string text, BoundArguments arguments)
    {
        string separator = arguments.HasValue(2) ? arguments.Text(2) : "\n";
        var wrap = new TextWrap(arguments.Int(0, 79), arguments.Flag(1, true), arguments.Flag(3, true));
        var result = new StringBuilder();
        bool first = true;
        foreach (string paragraph in PyText.Lines(text))
        {
            string wrapped = string.Join(separator, wrap.Lines(paragraph));
            Budget.ChargeText(wrapped.Length + separator.Length);
            result.Append(first ? "" : separator).Append(wrapped);
            first = false;
        }

        return result.ToString();
    }
}
