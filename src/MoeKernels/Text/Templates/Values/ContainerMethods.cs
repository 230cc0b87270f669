using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Methods of list, tuple, dict and range that only read.</summary>
internal static class ContainerMethods
{
    public static object? Find(PyDict dict, string name) => name switch
    {
        "get" => Method(dict, name, arguments => Get(dict, arguments.Take("get", 1, 2))),
        "keys" => View(dict, name, DictPart.Keys),
        "values" => View(dict, name, DictPart.Values),
        "items" => View(dict, name, DictPart.Items),
        "copy" => Method(dict, name, _ => new PyDict(dict)),
        "fromkeys" => Method(dict, name, FromKeys),
        _ => Missing.Value,
    };

    public static object? Find(PySequence sequence, string name) => name switch
    {
        "count" => Method(sequence, name, arguments => Count(sequence.Items, arguments.Take(name, 1, 1)[0])),
        "index" => Method(sequence, name, arguments => Index(sequence, arguments.Take(name, 1, 3))),
        "copy" when sequence is PyList => Method(sequence, name, _ => new PyList(sequence.Items)),
        _ => Missing.Value,
    };

    public static object? Find(PyRange range, string name) => name switch
    {
        "start" => range.Start,
        "stop" => range.Stop,
        "step" => range.Step,
        "count" => Method(range, name, arguments => Count(range.Items(), arguments.Take(name, 1, 1)[0])),
        "index" => Method(range, name, arguments => Index(new PyList([.. range.Items()]), arguments.Take(name, 1, 1))),
        _ => Missing.Value,
    };

    private static NativeFunction Method(object owner, string name, Func<Arguments, object?> body) =>
        new(name, (_, arguments) => body(arguments), owner);

    private static NativeFunction View(PyDict dict, string name, DictPart part) => Method(dict, name, arguments =>
    {
        arguments.Take(name, 0, 0);
        return new PyDictView(dict, part);
    });

    private static object? Get(PyDict dict, BoundArguments arguments) =>
        dict.TryGet(arguments[0], out object? value) ? value : arguments.Or(1, null);

    private static PyDict FromKeys(Arguments arguments)
    {
        BoundArguments bound = arguments.Take("fromkeys", 1, 2);
        var dict = new PyDict();
        foreach (object? key in PyIterate.Items(bound[0]))
            dict[key] = bound.Or(1, null);
        return dict;
    }

    private static BigInteger Count(IEnumerable<object?> items, object? item)
    {
        int count = 0;
        foreach (object? candidate in items)
        {
            Budget.ChargeSteps(1);
            if (PyCompare.SameOrEqual(candidate, item))
                count++;
        }

        return count;
    }

    private static BigInteger Index(PySequence sequence, BoundArguments arguments)
    {
        object?[] items = sequence.Items;
        int start = arguments.Int(1, 0), stop = arguments.Int(2, items.Length);
        start = start < 0 ? Math.Max(0, start + items.Length) : start;
        stop = Math.Min(items.Length, stop < 0 ? stop + items.Length : stop);
        for (int i = start; i < stop; i++)
        {
            Budget.ChargeSteps(1);
            if (PyCompare.SameOrEqual(items[i], arguments[0]))
                return i;
        }

        throw PyError.Value(sequence is PyList
            ? $"{PyRepr.Of(arguments[0])} is not in list"
            : "tuple.index(x): x not in tuple");
    }
}
