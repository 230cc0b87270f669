using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>The variable <c>loop</c> inside a for statement.</summary>
internal sealed class LoopContext(List<object?> items, int depth) : ICallable
{
    private object?[]? _lastChanged;
    private int _index = -1;

    public Func<object?, string>? Recurse { get; set; }

    public object? Item => items[_index];

    public int Length => items.Count;

    public bool MoveNext() => ++_index < items.Count;

    /// <summary>The items not yet visited.</summary>
    public IEnumerable<object?> Rest() => items.Skip(_index + 1);

    public object? GetAttribute(string name) => name switch
    {
        "index" => new BigInteger(_index + 1),
        "index0" => new BigInteger(_index),
        "revindex" => new BigInteger(items.Count - _index),
        "revindex0" => new BigInteger(items.Count - _index - 1),
        "first" => _index == 0,
        "last" => _index == items.Count - 1,
        "length" => new BigInteger(items.Count),
        "depth" => new BigInteger(depth + 1),
        "depth0" => new BigInteger(depth),
        "previtem" => _index > 0 ? items[_index - 1] : Undefined.Because("there is no previous item"),
        "nextitem" => _index + 1 < items.Count ? items[_index + 1] : Undefined.Because("there is no next item"),
        "cycle" => new NativeFunction("cycle", (_, arguments) => Cycle(arguments.Positional)),
        "changed" => new NativeFunction("changed", (_, arguments) => Changed(arguments.Positional)),
        _ => Missing.Value,
    };

    public object? Call(RenderState state, Arguments arguments)
    {
        object? iterable = arguments.Bind("loop", 1, "iterable")[0];
        return Recurse is null
            ? throw PyError.Type("The loop must have the 'recursive' marker to be called recursively.")
            : Recurse(iterable);
    }

    private object? Cycle(object?[] values) =>
        values.Length == 0 ? throw PyError.Type("no items for cycling given") : values[_index % values.Length];

    private bool Changed(object?[] values)
    {
        if (_lastChanged is not null && PyCompare.SequencesEqual(_lastChanged, values))
            return false;
        _lastChanged = values;
        return true;
    }
}
