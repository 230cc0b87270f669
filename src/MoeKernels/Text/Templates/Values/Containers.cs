using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Common part of list and tuple. Templates cannot change either, so the items are shared freely.</summary>
internal abstract class PySequence(object?[] items)
{
    public object?[] Items { get; } = items;

    /// <summary>Same type, other items.</summary>
    public abstract PySequence Make(object?[] items);
}

internal sealed class PyList(object?[] items) : PySequence(items)
{
    public override PySequence Make(object?[] items) => new PyList(items);
}

internal class PyTuple(object?[] items) : PySequence(items)
{
    public override PySequence Make(object?[] items) => new PyTuple(items);
}

/// <summary>What <c>groupby</c> gives: a pair whose parts have names.</summary>
internal sealed class PyGroup(object? grouper, PyList list) : PyTuple([grouper, list])
{
}

/// <summary>A range of integers; never longer than the sandbox allows.</summary>
internal sealed record PyRange(BigInteger Start, BigInteger Step, int Length, BigInteger Stop)
{
    private const int MaxLength = 100_000;

    public static PyRange Create(BigInteger start, BigInteger stop, BigInteger step)
    {
        if (step.IsZero)
            throw PyError.Value("range() arg 3 must not be zero");
        BigInteger span = step.Sign > 0 ? stop - start : start - stop;
        BigInteger length = span.Sign <= 0 ? 0 : ((span - 1) / BigInteger.Abs(step)) + 1;
        if (length > MaxLength)
        {
            throw new PyError("OverflowError",
                $"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MaxLength}).");
        }

        return new PyRange(start, step, (int)length, stop);
    }

    public BigInteger this[int index] => Start + (Step * index);

    public IEnumerable<object?> Items() => Enumerable.Range(0, Length).Select(i => (object?)this[i]);
}

/// <summary>Bounds of a subscript such as <c>x[1:-1:2]</c>, not yet applied to a length.</summary>
internal sealed record PySlice(object? Start, object? Stop, object? Step)
{
    /// <summary>Index of every selected element of a sequence of <paramref name="length"/> elements.</summary>
    public int[] Indices(int length)
    {
        int step = Step is null ? 1 : Bound(Step);
        if (step == 0)
            throw PyError.Value("slice step cannot be zero");
        int start = Start is null ? (step > 0 ? 0 : length - 1) : Clip(Bound(Start), length, step);
        int stop = Stop is null ? (step > 0 ? length : -1) : Clip(Bound(Stop), length, step);
        long span = step > 0 ? (long)stop - start : (long)start - stop;
        long count = span <= 0 ? 0 : ((span - 1) / Math.Abs((long)step)) + 1;
        Budget.ChargeSteps(count);
        var indices = new int[count];
        for (int i = 0; i < count; i++)
            indices[i] = (int)(start + ((long)i * step));
        return indices;
    }

    private static int Bound(object? value) => PyNumber.TryInteger(value, out BigInteger integer)
        ? PyNumber.Saturate(integer)
        : throw PyError.Type("slice indices must be integers or None or have an __index__ method");

    private static int Clip(int value, int length, int step)
    {
        int low = step > 0 ? 0 : -1;
        return Math.Clamp(value < 0 ? value + length : value, low, step > 0 ? length : length - 1);
    }
}

/// <summary>The result of a lazy filter: can be walked once.</summary>
internal sealed class PyIterator(IEnumerable<object?> source, string typeName = "generator")
{
    private readonly IEnumerator<object?> _items = source.GetEnumerator();

    public string TypeName { get; } = typeName;

    public IEnumerable<object?> Rest()
    {
        while (_items.MoveNext())
            yield return _items.Current;
    }
}

internal enum DictPart
{
    Keys,
    Values,
    Items,
}

/// <summary>The result of <c>keys()</c>, <c>values()</c> or <c>items()</c>.</summary>
internal sealed record PyDictView(PyDict Dict, DictPart Part)
{
    public IEnumerable<object?> Items() => Dict.Select(pair => Part switch
    {
        DictPart.Keys => pair.Key,
        DictPart.Values => pair.Value,
        _ => new PyTuple([pair.Key, pair.Value]),
    });
}

/// <summary>The one object templates can change: <c>namespace(...)</c>.</summary>
internal sealed class PyNamespace(PyDict values)
{
    public PyDict Values { get; } = values;
}

/// <summary>Text marked safe; adding plain text to it escapes the plain text.</summary>
internal sealed class Markup(string text)
{
    public string Text { get; } = text;
}

/// <summary>The variable <c>self</c>, through which blocks can be rendered again.</summary>
internal sealed class TemplateReference
{
    public static readonly TemplateReference Instance = new();
}

/// <summary>A block of <c>self</c>.</summary>
internal sealed class BlockReference(string name) : ICallable
{
    public object? Call(RenderState state, Arguments arguments) =>
        state.Template.Blocks.TryGetValue(name, out BlockStatement? block)
            ? block.Render(state)
            : throw new PyError("UndefinedError",
                $"'jinja2.runtime.TemplateReference object' has no attribute {PyRepr.Of(name)}");
}
