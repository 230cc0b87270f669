using System.Buffers;
using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>Filters on text: case, escaping, searching.</summary>
internal static class TextFilters
{
    private static readonly SearchValues<char> NotInNames = SearchValues.Create(" \t\n\r\f\v/>=");

    public static readonly Dictionary<string, Filter> All = new(StringComparer.Ordinal)
    {
        ["upper"] = Keep("upper", PyCase.Upper),
        ["lower"] = Keep("lower", PyCase.Lower),
        ["capitalize"] = Keep("capitalize", PyCase.Capitalize),
        ["title"] = Plain("title", Title),
        ["string"] = (_, value, arguments) => Soft(value, arguments),
        ["trim"] = (_, value, arguments) => Trim(value, arguments.Bind("trim", 0, "chars")),
        ["replace"] = (_, value, arguments) => Replace(value, arguments),
        ["escape"] = (_, value, arguments) => Escape(value, arguments),
        ["e"] = (_, value, arguments) => Escape(value, arguments),
        ["forceescape"] = (_, value, arguments) => Forced(value, arguments),
        ["safe"] = (_, value, arguments) => Safe(value, arguments),
        ["striptags"] = (_, value, arguments) => StripTags(value, arguments),
        ["urlencode"] = (_, value, arguments) => UrlEncode(value, arguments),
        ["urlize"] = (_, _, _) => throw new MoeUnsupportedException("the template filter 'urlize'"),
        ["xmlattr"] = (_, value, arguments) => XmlAttributes(value, arguments.Bind("xmlattr", 0, "autospace")),
        ["format"] = (_, value, arguments) => Format(value, arguments),
        ["tojson"] = (_, value, arguments) => JsonText.Write(value, arguments),
        ["pprint"] = Plain("pprint", null, PrettyPrint.Format),
        ["wordcount"] = (_, value, arguments) => Words(value, arguments),
        ["attr"] = (_, value, arguments) => PyAttribute.AttributeOnly(value, arguments.Bind("attr", 1, "name").Text(0)),
    };

    private static Filter Plain(string name, Func<string, string>? onText, Func<object?, string>? onValue = null) =>
        (_, value, arguments) =>
        {
            arguments.Bind(name, 0);
            return onText is not null ? onText(PyValue.ToText(value)) : onValue!(value);
        };

    /// <summary>Text in, text out; safe text stays safe.</summary>
    private static Filter Keep(string name, Func<string, string> map) => (_, value, arguments) =>
    {
        arguments.Bind(name, 0);
        string text = map(PyValue.ToText(value));
        return value is Markup ? new Markup(text) : text;
    };

    private static object Soft(object? value, Arguments arguments)
    {
        arguments.Bind("string", 0);
        return value is Markup ? value : PyValue.ToText(value);
    }

    // Words start after blanks, hyphens and opening brackets; unlike str.title, not after apostrophes.
    private static string Title(string text)
    {
        var result = new StringBuilder();
        for (int at = 0; at < text.Length;)
        {
            int start = at;
            bool separators = IsTitleBreak(text[at]);
            while (at < text.Length && IsTitleBreak(text[at]) == separators)
                at++;
            string piece = text[start..at];
            int first = PyText.First(piece).Length;
            result.Append(PyCase.Upper(piece[..first])).Append(PyCase.Lower(piece[first..]));
        }

        return result.ToString();
    }

    private static bool IsTitleBreak(char c) => PyText.IsSpace(c) || c is '-' or '(' or '{' or '[' or '<';

    private static object Trim(object? value, BoundArguments arguments)
    {
        string? characters = arguments.HasValue(0) ? arguments.Text(0) : null;
        string text = StringMethods.Strip(PyValue.ToText(value), characters, true, true);
        return value is Markup ? new Markup(text) : text;
    }

    private static string Replace(object? value, Arguments arguments)
    {
        BoundArguments bound = arguments.Bind("replace", 2, "old", "new", "count");
        return StringSearch.Replace(
            PyValue.ToText(value), PyValue.ToText(bound[0]), PyValue.ToText(bound[1]), bound.Int(2, -1));
    }

    private static Markup Escape(object? value, Arguments arguments)
    {
        arguments.Bind("escape", 0);
        return value as Markup ?? new Markup(Html.Escape(PyValue.ToText(value)));
    }

    private static Markup Forced(object? value, Arguments arguments)
    {
        arguments.Bind("forceescape", 0);
        return new Markup(Html.Escape(PyValue.ToText(value)));
    }

    private static Markup Safe(object? value, Arguments arguments)
    {
        arguments.Bind("safe", 0);
        return new Markup(PyValue.ToText(value));
    }

    private static string StripTags(object? value, Arguments arguments)
    {
        arguments.Bind("striptags", 0);
        return Html.StripTags(PyValue.ToText(value));
    }

    private static string UrlEncode(object? value, Arguments arguments)
    {
        arguments.Bind("urlencode", 0);
        if (PyValue.TryText(value, out string text) || !PyIterate.IsIterable(value))
            return Quote(text.Length > 0 ? text : PyValue.ToText(value), query: false);
        IEnumerable<object?> pairs = value is PyDict dict
            ? new PyDictView(dict, DictPart.Items).Items()
            : PyIterate.Items(value);
        var result = new StringBuilder();
        foreach (object? pair in pairs)
        {
            List<object?> parts = PyIterate.ToList(pair);
            if (parts.Count != 2)
                throw PyError.Value($"not enough values to unpack (expected 2, got {parts.Count})");
            result.Append(result.Length > 0 ? "&" : "")
                .Append(Quote(PyValue.ToText(parts[0]), query: true))
                .Append('=')
                .Append(Quote(PyValue.ToText(parts[1]), query: true));
        }

        return result.ToString();
    }

    /// <summary>Percent-encodes UTF-8; a slash stays in paths, a blank becomes a plus sign in queries.</summary>
    private static string Quote(string text, bool query)
    {
        Budget.ChargeText((long)text.Length * 3);
        var result = new StringBuilder();
        foreach (byte b in Encoding.UTF8.GetBytes(text))
        {
            char c = (char)b;
            if (char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' or '~' || (c == '/' && !query))
                result.Append(c);
            else if (c == ' ' && query)
                result.Append('+');
            else
                result.Append('%').Append(b.ToString("X2", System.Globalization.CultureInfo.InvariantCulture));
        }

        return result.ToString();
    }

    private static string XmlAttributes(object? value, BoundArguments arguments)
    {
        var result = new StringBuilder();
        foreach ((object? key, object? item) in Mapping(value))
        {
            if (item is null or Undefined)
                continue;
            if (!PyValue.TryText(key, out string name))
                throw PyError.Type($"expected string or bytes-like object, got '{PyValue.TypeName(key)}'");
            if (name.AsSpan().ContainsAny(NotInNames))
                throw PyError.Value($"Invalid character in attribute name: {PyRepr.Of(key)}");
            string pair = $"{Html.EscapeUnlessMarkup(key)}=\"{Html.EscapeUnlessMarkup(item)}\"";
            Budget.ChargeText(pair.Length + 1);
            result.Append(result.Length > 0 ? " " : "").Append(pair);
        }

        return result.Length > 0 && arguments.Flag(0, true) ? " " + result : result.ToString();
    }

    private static PyDict Mapping(object? value) => value is PyDict or Undefined
        ? PyDict.Require(value, "")
        : throw new PyError("AttributeError", $"'{PyValue.TypeName(value)}' object has no attribute 'items'");

    private static object Format(object? value, Arguments arguments)
    {
        bool named = arguments.Named.Count > 0;
        if (named && arguments.Positional.Length > 0)
            throw PyError.Filter("can't handle positional and keyword arguments at the same time");
        object values = named ? arguments.Named : new PyTuple(arguments.Positional);
        string text = PercentFormat.Apply(PyValue.ToText(value), values, value is Markup);
        return value is Markup ? new Markup(text) : text;
    }

    private static BigInteger Words(object? value, Arguments arguments)
    {
        arguments.Bind("wordcount", 0);
        int count = 0;
        bool inside = false;
        foreach (int code in PyText.Codes(PyValue.ToText(value)))
        {
            bool word = code == '_' || PyChar.IsAlphanumeric(code);
            count += word && !inside ? 1 : 0;
            inside = word;
        }

        return count;
    }
}
