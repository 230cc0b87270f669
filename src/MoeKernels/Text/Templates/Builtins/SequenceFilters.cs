using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>Filters on sequences and mappings that keep the order.</summary>
internal static class SequenceFilters
{
    public static readonly Dictionary<string, Filter> All = new(StringComparer.Ordinal)
    {
        ["default"] = (_, value, arguments) => Default(value, arguments),
        ["d"] = (_, value, arguments) => Default(value, arguments),
        ["length"] = (_, value, arguments) => Length(value, arguments),
        ["count"] = (_, value, arguments) => Length(value, arguments),
        ["list"] = (_, value, arguments) => ToList(value, arguments),
        ["first"] = (_, value, arguments) => First(value, arguments),
        ["last"] = (_, value, arguments) => Last(value, arguments),
        ["random"] = (_, _, _) => throw new MoeUnsupportedException("the template filter 'random'"),
        ["items"] = (_, value, arguments) => Items(value, arguments),
        ["join"] = (_, value, arguments) => Join(value, arguments.Bind("join", 0, "d", "attribute")),
        ["reverse"] = (_, value, arguments) => Reverse(value, arguments),
        ["sum"] = (_, value, arguments) => Sum(value, arguments.Bind("sum", 0, "attribute", "start")),
        ["batch"] = (_, value, arguments) => new PyIterator(
            Batch(value, arguments.Bind("batch", 1, "linecount", "fill_with"))),
        ["slice"] = (_, value, arguments) => new PyIterator(
            Slice(value, arguments.Bind("slice", 1, "slices", "fill_with"))),
    };

    private static object? Default(object? value, Arguments arguments)
    {
        BoundArguments bound = arguments.Bind("default", 0, "default_value", "boolean");
        bool replace = value is Undefined || (bound.Flag(1) && !PyValue.Truth(value));
        return replace ? bound.Or(0, "") : value;
    }

    private static BigInteger Length(object? value, Arguments arguments)
    {
        arguments.Bind("length", 0);
        return new BigInteger(PyValue.Length(value));
    }

    private static PyList ToList(object? value, Arguments arguments)
    {
        arguments.Bind("list", 0);
        return new PyList([.. PyIterate.ToList(value)]);
    }

    private static object? First(object? value, Arguments arguments)
    {
        arguments.Bind("first", 0);
        foreach (object? item in PyIterate.Items(value))
            return item;
        return Undefined.Because("No first item, sequence was empty.");
    }

    private static object? Last(object? value, Arguments arguments)
    {
        arguments.Bind("last", 0);
        RequireReversible(value);
        object? last = Undefined.Because("No last item, sequence was empty.");
        foreach (object? item in PyIterate.Items(value))
            last = item;
        return last;
    }

    private static void RequireReversible(object? value)
    {
        if (value is PyIterator or LoopContext || !PyIterate.IsIterable(value))
            throw PyError.Type($"'{PyValue.TypeName(value)}' object is not reversible");
    }

    private static PyIterator Items(object? value, Arguments arguments)
    {
        arguments.Bind("items", 0);
        return new PyIterator(Pairs(value));
    }

    // Like the generator it stands for, it fails when it is walked, not when it is made.
    private static IEnumerable<object?> Pairs(object? value)
    {
        if (value is Undefined)
            yield break;
        PyDict dict = PyDict.Require(value, "Can only get item pairs from a mapping.");
        foreach (object? pair in new PyDictView(dict, DictPart.Items).Items())
            yield return pair;
    }

    private static string Join(object? value, BoundArguments arguments)
    {
        string separator = PyValue.ToText(arguments.Or(0, ""));
        Func<object?, object?> attribute = Attributes.Getter(arguments.Or(1, null));
        var result = new StringBuilder();
        bool first = true;
        foreach (object? item in PyIterate.Items(value))
        {
            string text = PyValue.ToText(attribute(item));
            Budget.ChargeText(text.Length + separator.Length);
            result.Append(first ? "" : separator).Append(text);
            first = false;
        }

        return result.ToString();
    }

    private static object? Reverse(object? value, Arguments arguments)
    {
        arguments.Bind("reverse", 0);
        if (PyValue.TryText(value, out string text))
            return PyText.FromCodes(PyText.Codes(text).Reverse());
        if (!PyIterate.IsIterable(value))
            throw PyError.Filter("argument must be iterable");
        List<object?> items = PyIterate.ToList(value);
        items.Reverse();
        // A list without an iterator of its own comes out as a list, as in the reference.
        return value is PyIterator or LoopContext ? new PyList([.. items]) : new PyIterator(items, Iterator(value));
    }

    private static string Iterator(object? value) => value switch
    {
        PyList => "list_reverseiterator",
        PyDict => "dict_reversekeyiterator",
        PyRange => "range_iterator",
        _ => "reversed",
    };

    private static object? Sum(object? value, BoundArguments arguments)
    {
        Func<object?, object?> attribute = Attributes.Getter(arguments.Or(0, null));
        object? total = arguments.Or(1, BigInteger.Zero);
        if (PyValue.TryText(total, out _))
            throw PyError.Type("sum() can't sum strings [use ''.join(seq) instead]");
        foreach (object? item in PyIterate.Items(value))
            total = PyArithmetic.Apply("+", total, attribute(item));
        return total;
    }

    private static IEnumerable<object?> Batch(object? value, BoundArguments arguments)
    {
        int size = arguments.Int(0);
        object? fill = arguments.Or(1, null);
        var row = new List<object?>();
        foreach (object? item in PyIterate.Items(value))
        {
            if (row.Count == size)
            {
                yield return new PyList([.. row]);
                row.Clear();
            }

            Budget.ChargeItems(2);
            row.Add(item);
        }

        if (row.Count == 0)
            yield break;
        if (fill is not null && row.Count < size)
        {
            Budget.ChargeItems(size - row.Count);
            row.AddRange(Enumerable.Repeat(fill, size - row.Count));
        }

        yield return new PyList([.. row]);
    }

    private static IEnumerable<object?> Slice(object? value, BoundArguments arguments)
    {
        List<object?> items = PyIterate.ToList(value);
        int slices = arguments.Int(0);
        if (slices == 0)
            throw new PyError("ZeroDivisionError", "integer division or modulo by zero");
        object? fill = arguments.Or(1, null);
        int size = slices > 0 ? items.Count / slices : 0;
        int larger = slices > 0 ? items.Count % slices : 0;
        int start = 0;
        for (int i = 0; i < slices; i++)
        {
            int count = size + (i < larger ? 1 : 0);
            Budget.ChargeItems(count + 1);
            List<object?> slice = items.GetRange(start, count);
            if (fill is not null && i >= larger)
                slice.Add(fill);
            start += count;
            yield return new PyList([.. slice]);
        }
    }
}
