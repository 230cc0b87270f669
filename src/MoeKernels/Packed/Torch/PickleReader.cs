using System.Buffers.Binary;
using System.Text;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>
/// Reads the part of the pickle language that torch writes for a dictionary of tensors or integers. A pickle is a
/// program that may call anything; this one knows two calls, and every other name or opcode is refused by its name.
/// </summary>
/// <remarks>Each opcode makes at most one small object, so memory is bounded by the pickle's length.</remarks>
internal ref struct PickleReader
{
    /// <summary>Keeps sums and products of counts far from overflow.</summary>
    private const long MaxElements = 1L << 50;

    /// <summary>One byte of a pickle makes a dictionary, so their number is bounded: one a tensor is needed.</summary>
    private const int MaxDictionaries = 1 << 17;

    private static readonly object Mark = new();

    private readonly string _path;
    private readonly List<object> _stack = [];
    private readonly Dictionary<uint, object> _memo = [];
    private ReadOnlySpan<byte> _rest;
    private int _dictionaries;

    private PickleReader(string path, ReadOnlySpan<byte> pickle)
    {
        _path = path;
        _rest = pickle;
    }

    /// <summary>Runs a pickle.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="pickle">The program.</param>
    /// <returns>The items of the dictionary in their order: <see cref="TorchTensor"/> or long.</returns>
    /// <exception cref="MoeFormatException">The pickle is not valid or makes something else.</exception>
    /// <exception cref="MoeUnsupportedException">The pickle uses an opcode or a name beyond the subset.</exception>
    internal static IReadOnlyList<KeyValuePair<string, object>> Read(string path, ReadOnlySpan<byte> pickle)
    {
        var reader = new PickleReader(path, pickle);
        return reader.Run().Items;
    }

    private PickleDictionary Run()
    {
        for (byte opcode = Take(1)[0]; opcode != (byte)'.'; opcode = Take(1)[0])
            Step(opcode);

        object result = Pop();
        if (result is not PickleDictionary dictionary || _stack.Count > 0 || !_rest.IsEmpty)
            throw Error("the pickle does not end with one dictionary");

        return dictionary;
    }

    private void Step(byte opcode)
    {
        switch (opcode)
        {
            case 0x80:
                ReadProtocol();
                break;
            case (byte)'}':
                _stack.Add(NewDictionary());
                break;
            case (byte)'(':
                _stack.Add(Mark);
                break;
            case (byte)'q':
                _memo[Take(1)[0]] = Peek();
                break;
            case (byte)'r':
                _memo[ReadUInt32()] = Peek();
                break;
            case (byte)'h':
                _stack.Add(Recall(Take(1)[0]));
                break;
            case (byte)'j':
                _stack.Add(Recall(ReadUInt32()));
                break;
            case (byte)'R':
                _stack.Add(Call(Pop(), Pop()));
                break;
            case (byte)'Q':
                _stack.Add(ReadStorage(Pop()));
                break;
            case (byte)'u':
                SetItems(PopToMark());
                break;
            case (byte)'s':
                object value = Pop();
                SetItems([Pop(), value]);
                break;
            default:
                _stack.Add(ReadTuple(opcode) ?? ReadScalar(opcode));
                break;
        }
    }

    private object[]? ReadTuple(byte opcode)
    {
        switch (opcode)
        {
            case (byte)')':
                return [];
            case (byte)'t':
                return PopToMark();
            case 0x85 or 0x86 or 0x87:
                var items = new object[opcode - 0x84];
                for (int i = items.Length - 1; i >= 0; i--)
                    items[i] = Pop();

                return items;
            default:
                return null;
        }
    }

    private object ReadScalar(byte opcode) => opcode switch
    {
        (byte)'K' => (long)Take(1)[0],
        (byte)'M' => (long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)),
        (byte)'J' => (long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)),
        0x8A => ReadLong(),
        0x88 => true,
        0x89 => false,
        (byte)'X' => ReadText(),
        (byte)'c' => new PickleGlobal($"{ReadLine()}.{ReadLine()}"),
        _ => throw new MoeUnsupportedException($"the pickle opcode 0x{opcode:X2}", _path),
    };

    private void ReadProtocol()
    {
        byte protocol = Take(1)[0];
        if (protocol != 2)
            throw new MoeUnsupportedException($"pickle protocol {protocol}", _path);
    }

    private long ReadLong()
    {
        ReadOnlySpan<byte> bytes = Take(Take(1)[0]);
        if (bytes.Length > sizeof(long))
            throw Error($"the pickle holds an integer of {bytes.Length} bytes");

        // Two's complement: the bytes that are not written repeat the sign.
        long value = bytes.IsEmpty || bytes[^1] < 0x80 ? 0 : -1;
        for (int i = bytes.Length - 1; i >= 0; i--)
            value = (value << 8) | bytes[i];

        return value;
    }

    private string ReadText()
    {
        uint length = ReadUInt32();
        return length <= (uint)_rest.Length
            ? Encoding.UTF8.GetString(Take((int)length))
            : throw Error("the pickle is truncated");
    }

    private string ReadLine()
    {
        int length = _rest.IndexOf((byte)'\n');
        if (length < 0)
            throw Error("the pickle is truncated");

        string line = Encoding.UTF8.GetString(Take(length));
        Take(1);
        return line;
    }

    private uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _rest.Length)
            throw Error("the pickle is truncated");

        ReadOnlySpan<byte> taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }

    private readonly object Recall(uint key) =>
        _memo.TryGetValue(key, out object? value) ? value : throw Error($"the pickle recalls {key}, but put none");

    private readonly object Peek() =>
        _stack.Count > 0 && _stack[^1] != Mark ? _stack[^1] : throw Error("the pickle takes more than it put");

    private readonly object Pop()
    {
        object value = Peek();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private readonly object[] PopToMark()
    {
        int mark = _stack.LastIndexOf(Mark);
        if (mark < 0)
            throw Error("the pickle goes back to a mark that is not there");

        object[] items = [.. _stack.GetRange(mark + 1, _stack.Count - mark - 1)];
        _stack.RemoveRange(mark, _stack.Count - mark);
        return items;
    }

    private readonly void SetItems(object[] items)
    {
        if (Peek() is not PickleDictionary dictionary || items.Length % 2 != 0)
            throw Error("the pickle sets items of something else than a dictionary");

        for (int i = 0; i < items.Length; i += 2)
        {
            if (items[i] is not string name || items[i + 1] is not (TorchTensor or long))
                throw Error("the pickle holds something else than tensors or integers by name");
            if (!dictionary.TryAdd(name, items[i + 1]))
                throw new MoeFormatException(_path, Shown.Short(name), "the name is there twice");
        }
    }

    private object Call(object arguments, object function)
    {
        string name = function is PickleGlobal global ? global.Name : throw Error("the pickle calls no function");
        return name switch
        {
            "collections.OrderedDict" when arguments is object[] { Length: 0 } => NewDictionary(),
            "torch._utils._rebuild_tensor_v2" => ReadTensor(arguments),
            _ => throw new MoeUnsupportedException($"a call of {Shown.Short(name)} in a pickle", _path),
        };
    }

    private PickleDictionary NewDictionary() =>
        _dictionaries++ < MaxDictionaries
            ? new PickleDictionary()
            : throw Error($"the pickle makes more than {MaxDictionaries} dictionaries");

    private readonly TorchStorage ReadStorage(object id)
    {
        if (id is not object[] { Length: 5 } parts
            || parts[0] is not "storage"
            || parts[1] is not PickleGlobal type
            || parts[2] is not string key
            || parts[3] is not string
            || parts[4] is not (long and >= 0 and <= MaxElements))
        {
            throw Error("the pickle refers to something else than a storage");
        }

        return TorchTypes.TryParse(type.Name, out ElementType elements)
            ? new TorchStorage(elements, key, (long)parts[4])
            : throw new MoeUnsupportedException($"the storage class {Shown.Short(type.Name)}", _path);
    }

    /// <summary>(storage, offset, shape, strides, requires_grad, hooks): a contiguous part of the storage.</summary>
    private readonly TorchTensor ReadTensor(object arguments)
    {
        if (arguments is not object[] { Length: 6 } parts
            || parts[0] is not TorchStorage storage
            || parts[1] is not long offset
            || Integers(parts[2]) is not { } shape
            || Integers(parts[3]) is not { } strides
            || parts[4] is not bool
            || parts[5] is not PickleDictionary { Items.Count: 0 })
        {
            throw Error("the pickle builds a tensor of wrong parts");
        }

        if (strides.Length != shape.Length || !IsContiguous(shape, strides, storage.Count, out long count))
            throw new MoeUnsupportedException($"the strided tensor of storage {Shown.Short(storage.Key)}", _path);

        return offset >= 0 && offset <= storage.Count - count
            ? new TorchTensor(storage.Type, storage.Key, storage.Count, offset, shape)
            : throw Error($"a tensor of {count} elements leaves its storage {Shown.Short(storage.Key)}");
    }

    private static long[]? Integers(object value) =>
        value is object[] { Length: <= 64 } items && Array.TrueForAll(items, item => item is long and >= 0)
            ? Array.ConvertAll(items, item => (long)item)
            : null;

    /// <summary>Whether the elements lie one after the other. An axis of one element may have any stride, and so may
    /// every axis of an empty tensor.</summary>
    private static bool IsContiguous(long[] shape, long[] strides, long limit, out long count)
    {
        count = shape.Contains(0) ? 0 : 1;
        for (int axis = shape.Length - 1; axis >= 0 && count > 0; axis--)
        {
            if (shape[axis] != 1 && strides[axis] != count)
                return false;

            // Larger than the storage is the caller's error to name; here it must not overflow.
            count = shape[axis] > limit / count ? limit + 1 : count * shape[axis];
            if (count > limit)
                return true;
        }

        return true;
    }

    private readonly MoeFormatException Error(string problem) => new(_path, null, problem);

    private sealed record PickleGlobal(string Name);

    /// <summary>A dictionary that remembers the order of its items.</summary>
    private sealed class PickleDictionary
    {
        private readonly HashSet<string> _names = new(StringComparer.Ordinal);

        internal List<KeyValuePair<string, object>> Items { get; } = [];

        internal bool TryAdd(string name, object value)
        {
            if (!_names.Add(name))
                return false;

            Items.Add(new(name, value));
            return true;
        }
    }
}
