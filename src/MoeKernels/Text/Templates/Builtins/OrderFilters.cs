namespace MoeKernels.Text.Templates;

/// <summary>Filters that order, group or compare items.</summary>
internal static class OrderFilters
{
    public static readonly Dictionary<string, Filter> All = new(StringComparer.Ordinal)
    {
        ["sort"] = (_, value, arguments) => Sort(
            value, arguments.Bind("sort", 0, "reverse", "case_sensitive", "attribute")),
        ["dictsort"] = (_, value, arguments) => DictSort(
            value, arguments.Bind("dictsort", 0, "case_sensitive", "by", "reverse")),
        ["unique"] = (_, value, arguments) => new PyIterator(Unique(
            value, arguments.Bind("unique", 0, "case_sensitive", "attribute"))),
        ["min"] = (_, value, arguments) => Extreme(value, "<", arguments.Bind("min", 0, "case_sensitive", "attribute")),
        ["max"] = (_, value, arguments) => Extreme(value, ">", arguments.Bind("max", 0, "case_sensitive", "attribute")),
        ["groupby"] = (_, value, arguments) => GroupBy(
            value, arguments.Bind("groupby", 1, "attribute", "default", "case_sensitive")),
    };

    private static PyList Sort(object? value, BoundArguments arguments)
    {
        Func<object?, object?> key = Attributes.MultiGetter(arguments.Or(2, null), !arguments.Flag(1));
        return new PyList([.. PyIterate.Sort(PyIterate.Items(value), key, arguments.StrictFlag(0))]);
    }

    private static PyList DictSort(object? value, BoundArguments arguments)
    {
        bool caseSensitive = arguments.Flag(0);
        int part = arguments.Text(1, "key") switch
        {
            "key" => 0,
            "value" => 1,
            _ => throw PyError.Filter("You can only sort by either \"key\" or \"value\""),
        };
        if (value is not (PyDict or Undefined))
            throw new PyError("AttributeError", $"'{PyValue.TypeName(value)}' object has no attribute 'items'");
        PyDict dict = PyDict.Require(value, "");
        IEnumerable<object?> pairs = new PyDictView(dict, DictPart.Items).Items();
        return new PyList([.. PyIterate.Sort(pairs, Key, arguments.StrictFlag(2))]);

        object? Key(object? pair)
        {
            object? key = ((PyTuple)pair!).Items[part];
            return caseSensitive ? key : Attributes.Lowered(key);
        }
    }

    private static IEnumerable<object?> Unique(object? value, BoundArguments arguments)
    {
        Func<object?, object?> key = Attributes.Getter(arguments.Or(1, null), null, !arguments.Flag(0));
        var seen = new PyDict();
        foreach (object? item in PyIterate.Items(value))
        {
            object? found = key(item);
            if (seen.ContainsKey(found))
                continue;
            seen[found] = null;
            yield return item;
        }
    }

    private static object? Extreme(object? value, string op, BoundArguments arguments)
    {
        Func<object?, object?> key = Attributes.Getter(arguments.Or(1, null), null, !arguments.Flag(0));
        object? best = Missing.Value, bestKey = null;
        foreach (object? item in PyIterate.Items(value))
        {
            object? itemKey = key(item);
            if (best != Missing.Value && !PyCompare.Apply(op, itemKey, bestKey))
                continue;
            best = item;
            bestKey = itemKey;
        }

        return best != Missing.Value ? best : Undefined.Because("No aggregated item, sequence was empty.");
    }

    private static PyList GroupBy(object? value, BoundArguments arguments)
    {
        object? path = arguments[0];
        object? fallback = arguments.Or(1, null);
        bool ignoreCase = !arguments.Flag(2);
        Func<object?, object?> key = Attributes.Getter(path, fallback, ignoreCase);
        Func<object?, object?> shown = Attributes.Getter(path, fallback);
        var groups = new List<object?>();
        var group = new List<object?>();
        object? groupKey = null;
        foreach (object? item in PyIterate.Sort(PyIterate.Items(value), key, reverse: false))
        {
            object? itemKey = key(item);
            if (group.Count > 0 && !PyCompare.SameOrEqual(groupKey, itemKey))
                Close();
            groupKey = itemKey;
            Budget.ChargeItems(2);
            group.Add(item);
        }

        Close();
        return new PyList([.. groups]);

        void Close()
        {
            if (group.Count > 0)
                groups.Add(new PyGroup(shown(group[0]), new PyList([.. group])));
            group = [];
        }
    }
}
