using System.Net;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>The escaping of markupsafe, and what survives of <see cref="Markup"/> with autoescape off.</summary>
internal static class Html
{
    public static string Escape(string text)
    {
        if (!text.AsSpan().ContainsAny("&<>\"'"))
            return text;
        var result = new StringBuilder(text.Length + 16);
        foreach (char c in text)
        {
            string? escape = c switch
            {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&#34;",
                '\'' => "&#39;",
                _ => null,
            };
            Budget.ChargeText(escape?.Length ?? 1);
            result.Append(escape ?? c.ToString());
        }

        return result.ToString();
    }

    public static string EscapeUnlessMarkup(object? value) =>
        value is Markup markup ? markup.Text : Escape(PyValue.ToText(value));

    /// <summary>Removes comments and tags, joins words by one blank, and resolves character references.</summary>
    public static string StripTags(string text)
    {
        string bare = Remove(Remove(text, "<!--", "-->"), "<", ">");
        var words = new StringBuilder();
        foreach (object? word in StringSplit.Split(bare, Arguments.Empty).Items)
            words.Append(words.Length > 0 ? " " : "").Append((string)word!);
        return WebUtility.HtmlDecode(words.ToString());
    }

    private static string Remove(string text, string open, string close)
    {
        Budget.ChargeText(text.Length);
        var result = new StringBuilder();
        int from = 0;
        while (text.IndexOf(open, from, StringComparison.Ordinal) is int start and >= 0)
        {
            int end = text.IndexOf(close, start, StringComparison.Ordinal);
            if (end < 0)
                break;
            result.Append(text, from, start - from);
            from = end + close.Length;
        }

        return result.Append(text, from, text.Length - from).ToString();
    }
}

/// <summary>Methods of text marked safe: those of <c>str</c>, with safe results.</summary>
internal static class MarkupMethods
{
    public static object? Find(Markup markup, string name)
    {
        switch (name)
        {
            case "striptags":
                return Method(markup, name, _ => Html.StripTags(markup.Text));
            case "unescape":
                return Method(markup, name, _ => WebUtility.HtmlDecode(markup.Text));
        }

        if (StringMethods.Find(markup.Text, name) is not NativeFunction method)
            return Missing.Value;
        // What is put into safe text is escaped, unless it is safe itself.
        bool escapes = name is "join" or "replace" or "format" or "format_map" or "center" or "ljust" or "rjust";
        return new NativeFunction(
            name,
            (state, arguments) => Wrap(method.Call(state, escapes ? Escaped(arguments) : arguments)),
            markup);
    }

    private static NativeFunction Method(Markup markup, string name, Func<Arguments, object?> body) =>
        new(name, (_, arguments) => body(arguments), markup);

    private static object? Wrap(object? result) => result switch
    {
        string text => new Markup(text),
        PySequence sequence => sequence.Make([.. sequence.Items.Select(Wrap)]),
        _ => result,
    };

    private static Arguments Escaped(Arguments arguments)
    {
        var named = new PyDict();
        foreach ((object? key, object? value) in arguments.Named)
            named[key] = Escaped(value);
        return new Arguments([.. arguments.Positional.Select(Escaped)], named);
    }

    private static object? Escaped(object? value) => value switch
    {
        string text => Html.Escape(text),
        Markup markup => markup.Text,
        PySequence sequence => sequence.Make([.. sequence.Items.Select(Escaped)]),
        _ => value,
    };
}
