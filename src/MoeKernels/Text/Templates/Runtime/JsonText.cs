using System.Globalization;
using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>
/// <c>json.dumps</c> as the filter <c>tojson</c> of chat templates uses it: key order kept, nothing escaped for
/// HTML, non-ASCII text left as it is unless asked otherwise.
/// </summary>
internal sealed class JsonText
{
    private readonly StringBuilder _result = new();
    private readonly bool _ascii;
    private readonly bool _sortKeys;
    private readonly string? _indent;
    private readonly string _itemSeparator;
    private readonly string _keySeparator;

    private JsonText(BoundArguments arguments)
    {
        _ascii = arguments.Flag(0);
        _indent = Indent(arguments.Or(1, null));
        (_itemSeparator, _keySeparator) = Separators(arguments.Or(2, null), _indent is not null);
        _sortKeys = arguments.Flag(3);
    }

    public static string Write(object? value, Arguments arguments)
    {
        var json = new JsonText(arguments.Bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys"));
        json.Value(value, 0);
        return json._result.ToString();
    }

    private static string? Indent(object? value) => value switch
    {
        null => null,
        _ when PyValue.TryText(value, out string text) => text,
        _ => PyText.Repeat(" ", Math.Max(0, PyNumber.Index(value))),
    };

    private static (string Item, string Key) Separators(object? value, bool indented)
    {
        if (value is null)
            return (indented ? "," : ", ", ": ");
        List<object?> parts = PyIterate.ToList(value);
        return parts.Count == 2
            && PyValue.TryText(parts[0], out string item) && PyValue.TryText(parts[1], out string key)
            ? (item, key)
            : throw PyError.Value("separators must be a pair of strings");
    }

    private void Add(string text)
    {
        Budget.ChargeText(text.Length);
        _result.Append(text);
    }

    private void Value(object? value, int level)
    {
        Budget.Enter();
        switch (value)
        {
            case PySequence sequence:
                List(sequence.Items, level);
                break;
            case PyDict dict:
                Object(dict, level);
                break;
            case string or Markup:
                Quote(PyValue.ToText(value));
                break;
            default:
                Add(Scalar(value) ?? throw PyError.Type(
                    $"Object of type {PyValue.TypeName(value)} is not JSON serializable"));
                break;
        }
    }

    private static string? Scalar(object? value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        BigInteger integer => PyNumber.ToText(integer),
        double number => double.IsNaN(number) ? "NaN"
            : double.IsInfinity(number) ? (number > 0 ? "Infinity" : "-Infinity")
            : PyRepr.Float(number),
        _ => null,
    };

    private void NewLine(int level)
    {
        if (_indent is null)
            return;
        Add("\n");
        Add(PyText.Repeat(_indent, level));
    }

    private void List(object?[] items, int level)
    {
        Add("[");
        for (int i = 0; i < items.Length; i++)
        {
            if (i > 0)
                Add(_itemSeparator);
            NewLine(level + 1);
            Value(items[i], level + 1);
        }

        if (items.Length > 0)
            NewLine(level);
        Add("]");
    }

    private void Object(PyDict dict, int level)
    {
        IEnumerable<KeyValuePair<object?, object?>> items = dict;
        if (_sortKeys)
        {
            List<object?> keys = PyIterate.Sort(dict.Select(pair => pair.Key), key => key, reverse: false);
            items = keys.Select(key => new KeyValuePair<object?, object?>(key, dict.TryGet(key, out var v) ? v : null));
        }

        Add("{");
        bool first = true;
        foreach ((object? key, object? value) in items)
        {
            if (!first)
                Add(_itemSeparator);
            first = false;
            NewLine(level + 1);
            Quote(Key(key));
            Add(_keySeparator);
            Value(value, level + 1);
        }

        if (dict.Count > 0)
            NewLine(level);
        Add("}");
    }

    private static string Key(object? key) => PyValue.TryText(key, out string text)
        ? text
        : Scalar(key) ?? throw PyError.Type(
            $"keys must be str, int, float, bool or None, not {PyValue.TypeName(key)}");

    private void Quote(string text)
    {
        Budget.ChargeText(text.Length + 2);
        _result.Append('"');
        foreach (char c in text)
        {
            int escape = "\"\\\b\f\n\r\t".IndexOf(c, StringComparison.Ordinal);
            if (escape >= 0)
                _result.Append('\\').Append("\"\\bfnrt"[escape]);
            else if (c < ' ' || (_ascii && c > '~'))
                _result.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
            else
                _result.Append(c);
        }

        _result.Append('"');
    }
}
