using System.Globalization;
using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Attribute paths of filters: <c>'a.b.0'</c>, an index, or several paths with commas.</summary>
internal static class Attributes
{
    /// <summary>Looks up one path; without a path gives the item itself.</summary>
    public static Func<object?, object?> Getter(object? path, object? fallback = null, bool ignoreCase = false)
    {
        object?[] parts = Parts(path);
        return item =>
        {
            foreach (object? part in parts)
            {
                item = PyAttribute.GetItem(item, part);
                if (fallback is not null && item is Undefined)
                    item = fallback;
            }

            return ignoreCase ? Lowered(item) : item;
        };
    }

    /// <summary>Looks up several comma-separated paths, as a list to sort by.</summary>
    public static Func<object?, object?> MultiGetter(object? paths, bool ignoreCase)
    {
        object?[] all = PyValue.TryText(paths, out string text) ? [.. text.Split(',')] : [paths];
        Func<object?, object?>[] getters = [.. all.Select(path => Getter(path, null, ignoreCase))];
        return item =>
        {
            Budget.ChargeItems(getters.Length);
            return new PyList([.. getters.Select(getter => getter(item))]);
        };
    }

    public static object? Lowered(object? value) =>
        PyValue.TryText(value, out string text) ? PyCase.Lower(text) : value;

    private static object?[] Parts(object? path)
    {
        if (path is null)
            return [];
        return PyValue.TryText(path, out string text) ? [.. text.Split('.').Select(Part)] : [path];
    }

    private static object Part(string part) => part.Length > 0 && part.All(char.IsAsciiDigit)
        ? BigInteger.Parse(part, CultureInfo.InvariantCulture)
        : part;
}
