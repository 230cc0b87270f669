using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>Python's <c>pprint.pformat</c>: containers that do not fit into 80 columns get an item per line.</summary>
internal static class PrettyPrint
{
    private const int Width = 80;

    public static string Format(object? value)
    {
        var result = new StringBuilder();
        Write(result, value, 0, 0);
        return result.ToString();
    }

    private static void Write(StringBuilder result, object? value, int indent, int allowance)
    {
        Budget.Enter();
        string flat = Flat(value);
        if (PyText.Length(flat) <= Width - indent - allowance || value is not (PyDict or PySequence))
        {
            result.Append(flat);
            return;
        }

        if (value is PyDict dict)
        {
            WriteDict(result.Append('{'), Sorted(dict), indent, allowance + 1);
            result.Append('}');
            return;
        }

        var items = ((PySequence)value).Items;
        bool list = value is PyList;
        string close = list ? "]" : items.Length == 1 ? ",)" : ")";
        result.Append(list ? '[' : '(');
        for (int i = 0; i < items.Length; i++)
        {
            bool last = i == items.Length - 1;
            Write(result, items[i], indent + 1, last ? allowance + close.Length : 1);
            result.Append(last ? "" : NewLine(indent + 1));
        }

        result.Append(close);
    }

    private static void WriteDict(
        StringBuilder result, List<KeyValuePair<object?, object?>> items, int indent, int allowance)
    {
        for (int i = 0; i < items.Count; i++)
        {
            bool last = i == items.Count - 1;
            string key = Flat(items[i].Key) + ": ";
            result.Append(key);
            Write(result, items[i].Value, indent + 1 + PyText.Length(key), last ? allowance : 1);
            result.Append(last ? "" : NewLine(indent + 1));
        }
    }

    private static string NewLine(int indent) => ",\n" + PyText.Repeat(" ", indent);

    private static List<KeyValuePair<object?, object?>> Sorted(PyDict dict)
    {
        // Keys of different types are ordered by type name first.
        var keys = PyIterate.Sort(dict.Select(pair => pair.Key), key => PyValue.TypeName(key), reverse: false);
        var sorted = new List<object?>();
        foreach (var group in keys.GroupBy(PyValue.TypeName))
        {
            bool ordered = group.First() is string || PyNumber.IsNumber(group.First());
            sorted.AddRange(ordered ? PyIterate.Sort(group, key => key, reverse: false) : group);
        }

        return [.. sorted.Select(key => new KeyValuePair<object?, object?>(
            key, dict.TryGet(key, out object? value) ? value : null))];
    }

    /// <summary><c>repr</c> with sorted keys.</summary>
    private static string Flat(object? value)
    {
        Budget.Enter();
        string text = value switch
        {
            PyDict dict => "{" + string.Join(", ", Sorted(dict).Select(p => $"{Flat(p.Key)}: {Flat(p.Value)}")) + "}",
            PyList list => "[" + string.Join(", ", list.Items.Select(Flat)) + "]",
            PyTuple { Items.Length: 1 } tuple => $"({Flat(tuple.Items[0])},)",
            PyTuple tuple => "(" + string.Join(", ", tuple.Items.Select(Flat)) + ")",
            _ => PyRepr.Of(value),
        };
        Budget.ChargeText(text.Length);
        return text;
    }
}
