using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>
/// <c>x.name</c> tries the attribute first, then the item; <c>x['name']</c> the item first, then the attribute.
/// The sandbox hides names with an underscore and the methods that change a list or dict.
/// </summary>
internal static class PyAttribute
{
    private static readonly HashSet<string> ObjectNames = Split(
        "__class__ __delattr__ __dir__ __doc__ __eq__ __format__ __ge__ __getattribute__ __getstate__ __gt__"
        + " __hash__ __init__ __init_subclass__ __le__ __lt__ __ne__ __new__ __reduce__ __reduce_ex__ __repr__"
        + " __setattr__ __sizeof__ __str__ __subclasshook__");

    private static readonly HashSet<string> ContainerNames = Split(
        "__contains__ __getitem__ __iter__ __len__ __add__ __mul__ __rmul__ __reversed__");

    private static readonly HashSet<string> ListChanges = Split("append clear extend insert pop remove reverse sort");

    private static readonly HashSet<string> DictChanges = Split("clear pop popitem setdefault update");

    private static HashSet<string> Split(string names) => new(names.Split(' '), StringComparer.Ordinal);

    public static object? GetAttribute(object? owner, string name)
    {
        object? value = Find(owner, name);
        if (value != Missing.Value)
            return value;
        return TryItem(owner, name, out object? item) ? item : Undefined.Attribute(owner, name);
    }

    public static object? GetItem(object? owner, object? key)
    {
        if (TryItem(owner, key, out object? item))
            return item;
        if (PyValue.TryText(key, out string name) && Find(owner, name) is var value && value != Missing.Value)
            return value;
        return Undefined.Attribute(owner, key);
    }

    /// <summary>Slices never fall back to attributes; what has none fails.</summary>
    public static object? GetSlice(object? owner, PySlice slice) => owner switch
    {
        string or Markup or PySequence or PyRange or Undefined => GetItem(owner, slice),
        PyDict => throw PyError.Type("unhashable type: 'slice'"),
        _ => throw PyError.Type($"'{PyValue.TypeName(owner)}' object is not subscriptable"),
    };

    /// <summary>The filter <c>attr</c>: attributes only.</summary>
    public static object? AttributeOnly(object? owner, string name) =>
        Find(owner, name) is var value && value != Missing.Value ? value : Undefined.Attribute(owner, name);

    private static object? Find(object? owner, string name)
    {
        bool special = ObjectNames.Contains(name)
            || (PyValue.TryLength(owner) is not null && ContainerNames.Contains(name));
        if (special)
            return Undefined.Unsafe(owner, name);
        if (owner is Undefined undefined)
            throw undefined.Error();
        bool changes = (owner is PyList && ListChanges.Contains(name))
            || (owner is PyDict && DictChanges.Contains(name));
        return changes ? Undefined.Unsafe(owner, name) : Public(owner, name);
    }

    private static object? Public(object? owner, string name) => owner switch
    {
        string text => StringMethods.Find(text, name),
        Markup markup => MarkupMethods.Find(markup, name),
        PyDict dict => ContainerMethods.Find(dict, name),
        PyGroup group when name is "grouper" => group.Items[0],
        PyGroup group when name is "list" => group.Items[1],
        PySequence sequence => ContainerMethods.Find(sequence, name),
        PyRange range => ContainerMethods.Find(range, name),
        PyDictView view when name == "mapping" => view.Dict,
        BigInteger or bool or double => NumberMethods.Find(owner, name),
        PyNamespace names => names.Values.TryGet(name, out object? value) ? value : Missing.Value,
        LoopContext loop => loop.GetAttribute(name),
        Macro macro => macro.GetAttribute(name),
        Cycler cycler => cycler.GetAttribute(name),
        Joiner joiner when name == "sep" => joiner.Separator,
        _ => Missing.Value,
    };

    private static bool TryItem(object? owner, object? key, out object? item)
    {
        item = null;
        switch (owner)
        {
            case Undefined undefined:
                throw undefined.Error();
            case PyDict dict:
                return key is not (PyList or PyDict or PySlice) && dict.TryGet(key, out item);
            case PySequence sequence:
                return TrySequence(sequence, key, out item);
            case PyRange range:
                return TryRange(range, key, out item);
            case TemplateReference when PyValue.TryText(key, out string name):
                item = new BlockReference(name);
                return true;
        }

        if (!PyValue.TryText(owner, out string text))
            return false;
        item = key is PySlice slice ? PyText.Slice(text, slice)
            : PyNumber.TryInteger(key, out BigInteger index) ? PyText.At(text, PyNumber.Saturate(index))
            : null;
        if (item is string part && owner is Markup)
            item = new Markup(part);
        return item is not null;
    }

    private static bool TrySequence(PySequence sequence, object? key, out object? item)
    {
        item = null;
        object?[] items = sequence.Items;
        if (key is PySlice slice)
        {
            int[] indices = slice.Indices(items.Length);
            Budget.ChargeItems(indices.Length);
            item = sequence.Make([.. indices.Select(i => items[i])]);
            return true;
        }

        if (!PyNumber.TryInteger(key, out BigInteger integer))
            return false;
        int index = PyNumber.Saturate(integer);
        index = index < 0 ? index + items.Length : index;
        bool inside = index >= 0 && index < items.Length;
        if (inside)
            item = items[index];
        return inside;
    }

    private static bool TryRange(PyRange range, object? key, out object? item)
    {
        item = null;
        if (key is PySlice slice)
        {
            // A slice of a range is a range; its first index and step say which.
            int[] indices = slice.Indices(range.Length);
            BigInteger step = indices.Length > 1 ? range.Step * (indices[1] - indices[0]) : range.Step;
            BigInteger start = indices.Length > 0 ? range[indices[0]] : range.Start;
            item = new PyRange(start, step, indices.Length, start + (step * indices.Length));
            return true;
        }

        if (!PyNumber.TryInteger(key, out BigInteger integer))
            return false;
        int index = PyNumber.Saturate(integer);
        index = index < 0 ? index + range.Length : index;
        bool inside = index >= 0 && index < range.Length;
        if (inside)
            item = range[index];
        return inside;
    }
}
