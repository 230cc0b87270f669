using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Names every template sees: Jinja's own and those that chat templates add.</summary>
internal static class Globals
{
    private static readonly Dictionary<string, object?> Values = new(StringComparer.Ordinal)
    {
        ["range"] = new NativeFunction("range", (_, arguments) => Range(arguments.Take("range", 1, 3))),
        ["dict"] = new NativeFunction("dict", (_, arguments) => Dict("dict", arguments)),
        ["namespace"] = new NativeFunction(
            "namespace", (_, arguments) => new PyNamespace(Dict("namespace", arguments))),
        ["cycler"] = new NativeFunction("cycler", (_, arguments) => new Cycler(arguments.Positional)),
        ["joiner"] = new NativeFunction(
            "joiner", (_, arguments) => new Joiner(arguments.Bind("joiner", 0, "sep").Or(0, ", "))),
        ["lipsum"] = new NativeFunction(
            "lipsum", (_, _) => throw new MoeUnsupportedException("the template function 'lipsum' (random text)")),
        ["raise_exception"] = new NativeFunction("raise_exception", (_, arguments) => throw new PyError(
            "TemplateError", PyValue.ToText(arguments.Bind("raise_exception", 1, "message")[0]))),
        ["strftime_now"] = new NativeFunction("strftime_now", (state, arguments) => Strftime.Format(
            state.Clock.GetLocalNow().DateTime, arguments.Bind("strftime_now", 1, "format").Text(0))),
        ["self"] = TemplateReference.Instance,
    };

    public static bool TryGet(string name, out object? value) => Values.TryGetValue(name, out value);

    private static PyRange Range(BoundArguments arguments)
    {
        BigInteger first = PyNumber.Integer(arguments[0]);
        return arguments.Has(1)
            ? PyRange.Create(first, PyNumber.Integer(arguments[1]), PyNumber.Integer(arguments.Or(2, BigInteger.One)))
            : PyRange.Create(0, first, 1);
    }

    private static PyDict Dict(string function, Arguments arguments)
    {
        if (arguments.Positional.Length > 1)
            throw PyError.Type($"{function} expected at most 1 argument, got {arguments.Positional.Length}");
        object? source = arguments.Positional.FirstOrDefault();
        PyDict dict = source is PyDict other ? new PyDict(other) : new PyDict();
        if (arguments.Positional.Length == 1 && source is not PyDict)
        {
            foreach (object? pair in PyIterate.Items(source))
            {
                if (!PyIterate.IsIterable(pair))
                {
                    throw PyError.Type(
                        $"cannot convert dictionary update sequence element #{dict.Count} to a sequence");
                }

                List<object?> parts = PyIterate.ToList(pair);
                if (parts.Count != 2)
                {
                    throw PyError.Value($"dictionary update sequence element #{dict.Count} has length {parts.Count};"
                        + " 2 is required");
                }

                dict[parts[0]] = parts[1];
            }
        }

        foreach ((object? key, object? value) in arguments.Named)
            dict[key] = value;
        return dict;
    }
}

/// <summary><c>cycler(...)</c>: gives its items one after the other, again and again.</summary>
internal sealed class Cycler
{
    private readonly object?[] _items;
    private int _position;

    public Cycler(object?[] items)
    {
        if (items.Length == 0)
            throw new PyError("RuntimeError", "at least one item has to be provided");
        _items = items;
    }

    public object? GetAttribute(string name) => name switch
    {
        "current" => _items[_position],
        "pos" => new BigInteger(_position),
        "items" => new PyTuple(_items),
        "next" => new NativeFunction("next", (_, _) => Next(), this),
        "reset" => new NativeFunction("reset", (_, _) => Reset(), this),
        _ => Missing.Value,
    };

    private object? Next()
    {
        object? item = _items[_position];
        _position = (_position + 1) % _items.Length;
        return item;
    }

    private object? Reset()
    {
        _position = 0;
        return null;
    }
}

/// <summary><c>joiner(sep)</c>: nothing at the first call, the separator at every other.</summary>
internal sealed class Joiner(object? separator) : ICallable
{
    private bool _used;

    public object? Separator { get; } = separator;

    public object? Call(RenderState state, Arguments arguments)
    {
        arguments.Take("joiner", 0, 0);
        bool first = !_used;
        _used = true;
        return first ? "" : Separator;
    }
}
