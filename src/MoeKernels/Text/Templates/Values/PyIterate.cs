namespace MoeKernels.Text.Templates;

/// <summary>Iteration, membership and sorting.</summary>
internal static class PyIterate
{
    public static bool IsIterable(object? value) => Walk(value) is not null;

    /// <summary>The items of any iterable value, one step each.</summary>
    public static IEnumerable<object?> Items(object? value)
    {
        IEnumerable<object?> items = Walk(value)
            ?? throw PyError.Type($"'{PyValue.TypeName(value)}' object is not iterable");
        return Paid(items);
    }

    private static IEnumerable<object?> Paid(IEnumerable<object?> items)
    {
        foreach (object? item in items)
        {
            Budget.ChargeSteps(1);
            yield return item;
        }
    }

    public static List<object?> ToList(object? value)
    {
        var list = new List<object?>();
        foreach (object? item in Items(value))
        {
            Budget.ChargeItems(1);
            list.Add(item);
        }

        return list;
    }

    private static IEnumerable<object?>? Walk(object? value) => value switch
    {
        PySequence sequence => sequence.Items,
        string text => PyText.Characters(text),
        Markup markup => PyText.Characters(markup.Text),
        PyDict dict => dict.Select(pair => pair.Key),
        PyRange range => range.Items(),
        PyDictView view => view.Items(),
        PyIterator iterator => iterator.Rest(),
        LoopContext loop => loop.Rest().Select(item => (object?)new PyTuple([item, loop])),
        Undefined => [],
        _ => null,
    };

    /// <summary><c>item in container</c>.</summary>
    public static bool Contains(object? container, object? item)
    {
        Budget.Enter();
        if (PyValue.TryText(container, out string text))
        {
            if (item is Undefined undefined)
                throw PyError.Type("'in <string>' requires string as left operand, not Undefined");
            if (!PyValue.TryText(item, out string part))
                throw PyError.Type($"'in <string>' requires string as left operand, not {PyValue.TypeName(item)}");
            Budget.ChargeSteps(text.Length >> 3);
            return text.Contains(part, StringComparison.Ordinal);
        }

        if (container is PyDict dict)
            return dict.ContainsKey(item);
        if (container is PyDictView { Part: DictPart.Keys } keys)
            return keys.Dict.ContainsKey(item);
        if (!IsIterable(container))
            throw PyError.Type($"argument of type '{PyValue.TypeName(container)}' is not iterable");
        foreach (object? candidate in Items(container))
        {
            if (PyCompare.SameOrEqual(candidate, item))
                return true;
        }

        return false;
    }

    /// <summary><c>sorted</c>: stable, and like it compares with "less than" only, later items on the left.</summary>
    public static List<object?> Sort(IEnumerable<object?> items, Func<object?, object?> key, bool reverse)
    {
        var keyed = new List<(object? Key, object? Item)>();
        foreach (object? item in items)
        {
            Budget.ChargeItems(2);
            keyed.Add((key(item), item));
        }

        if (reverse)
            keyed.Reverse();
        var array = keyed.ToArray();
        MergeSort(array, new (object?, object?)[array.Length], 0, array.Length);
        if (reverse)
            Array.Reverse(array);
        return [.. array.Select(pair => pair.Item)];
    }

    private static void MergeSort((object? Key, object? Item)[] items, (object?, object?)[] spare, int from, int to)
    {
        if (to - from < 2)
            return;
        int middle = from + ((to - from) / 2);
        MergeSort(items, spare, from, middle);
        MergeSort(items, spare, middle, to);
        int left = from, right = middle;
        for (int i = from; i < to; i++)
        {
            bool takeRight = left == middle
                || (right < to && PyCompare.Less(items[right].Key, items[left].Key));
            spare[i] = takeRight ? items[right++] : items[left++];
        }

        Array.Copy(spare, from, items, from, to - from);
    }
}
