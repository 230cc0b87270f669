using System.Collections;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace MoeKernels.Text.Templates;

/// <summary>A dict: keys in order of insertion, equal as Python sees it (1, 1.0 and True are one key).</summary>
internal sealed class PyDict : IEnumerable<KeyValuePair<object?, object?>>
{
    // Dictionaries take no null key, but None is a key like any other.
    private static readonly object NoneKey = new();

    private readonly OrderedDictionary<object, object?> _items;

    public PyDict() => _items = new OrderedDictionary<object, object?>(KeyComparer.Instance);

    public PyDict(PyDict other)
    {
        Budget.ChargeItems(other.Count);
        _items = new OrderedDictionary<object, object?>(other._items, KeyComparer.Instance);
    }

    public int Count => _items.Count;

    public object? this[object? key]
    {
        set
        {
            Budget.ChargeItems(1);
            _items[key ?? NoneKey] = value;
        }
    }

    public bool ContainsKey(object? key) => _items.ContainsKey(key ?? NoneKey);

    public bool TryGet(object? key, out object? value) => _items.TryGetValue(key ?? NoneKey, out value);

    public bool Remove(object? key, out object? value)
    {
        Budget.ChargeSteps(_items.Count);
        return _items.Remove(key ?? NoneKey, out value);
    }

    public IEnumerator<KeyValuePair<object?, object?>> GetEnumerator()
    {
        foreach ((object key, object? value) in _items)
            yield return new(ReferenceEquals(key, NoneKey) ? null : key, value);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public static PyDict Require(object? value, string problem) => value as PyDict
        ?? throw (value is Undefined undefined ? undefined.Error() : PyError.Type(problem));

    private sealed class KeyComparer : IEqualityComparer<object>
    {
        public static readonly KeyComparer Instance = new();

        bool IEqualityComparer<object>.Equals(object? left, object? right) =>
            ReferenceEquals(left, right) || PyCompare.AreEqual(left, right);

        public int GetHashCode(object key) => Hash(key);

        private static int Hash(object? key)
        {
            switch (key)
            {
                case string text:
                    Budget.ChargeSteps(1 + (text.Length >> 3));
                    return text.GetHashCode(StringComparison.Ordinal);
                case Markup markup:
                    return markup.Text.GetHashCode(StringComparison.Ordinal);
                case bool flag:
                    return (flag ? BigInteger.One : BigInteger.Zero).GetHashCode();
                case double number when double.IsInteger(number):
                    return new BigInteger(number).GetHashCode();
                case BigInteger or double:
                    return key.GetHashCode();
                case PyTuple tuple:
                    return HashAll(tuple.Items);
                case Undefined:
                    return 1;
                case PyList or PyDict or PySlice:
                    throw PyError.Type($"unhashable type: '{PyValue.TypeName(key)}'");
                default:
                    return key is null ? 0 : RuntimeHelpers.GetHashCode(key);
            }
        }

        private static int HashAll(object?[] items)
        {
            Budget.Enter();
            var hash = default(HashCode);
            foreach (object? item in items)
                hash.Add(Hash(item));
            return hash.ToHashCode();
        }
    }
}
