using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace MoeKernels.Packed;

/// <summary>
/// Writes the pickle of a dictionary of tensors or integers, byte for byte as <c>torch.save</c> writes it: protocol 2,
/// every object but integers and booleans remembered in order, items in batches of 1000.
/// </summary>
internal sealed class PickleWriter
{
    private const int BatchItems = 1000;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>Numbers of the objects that occur again: names of functions and classes, two shared texts.</summary>
    private readonly Dictionary<string, int> _shared = new(StringComparer.Ordinal);

    private int _remembered;

    /// <summary>Writes a pickle.</summary>
    /// <param name="items">Names and values, <see cref="TorchTensor"/> or long.</param>
    internal static byte[] Write(IReadOnlyList<KeyValuePair<string, object>> items)
    {
        var writer = new PickleWriter();
        writer.Bytes(0x80, 2, (byte)'}');
        writer.Remember();
        writer.WriteItems(items);
        writer.Bytes((byte)'.');
        return writer._bytes.WrittenSpan.ToArray();
    }

    private void WriteItems(IReadOnlyList<KeyValuePair<string, object>> items)
    {
        if (items.Count == 1)
        {
            WriteItem(items[0]);
            Bytes((byte)'s');
            return;
        }

        // As the reference does, a last full batch is followed by an empty one.
        for (int start = 0; items.Count > 0 && start <= items.Count; start += BatchItems)
        {
            int end = Math.Min(start + BatchItems, items.Count);
            Bytes((byte)'(');
            for (int i = start; i < end; i++)
                WriteItem(items[i]);

            Bytes((byte)'u');
            if (end - start < BatchItems)
                return;
        }
    }

    private void WriteItem(KeyValuePair<string, object> item)
    {
        WriteText(item.Key);
        if (item.Value is TorchTensor tensor)
            WriteTensor(tensor);
        else
            WriteInteger((long)item.Value);
    }

    private void WriteTensor(TorchTensor tensor)
    {
        WriteGlobal("torch._utils", "_rebuild_tensor_v2");
        Bytes((byte)'(');
        WriteStorage(tensor);
        WriteInteger(tensor.Offset);
        WriteTuple(tensor.Shape);
        WriteTuple(Strides(tensor.Shape));
        Bytes(0x89);
        WriteGlobal("collections", "OrderedDict");
        Bytes((byte)')', (byte)'R');
        Remember();
        Bytes((byte)'t');
        Remember();
        Bytes((byte)'R');
        Remember();
    }

    private void WriteStorage(TorchTensor tensor)
    {
        Bytes((byte)'(');
        WriteShared("storage", WriteRawText);
        WriteGlobal("torch", TorchTypes.StorageName(tensor.Type));
        WriteText(tensor.Key);
        WriteShared("cpu", WriteRawText);
        WriteInteger(tensor.StorageCount);
        Bytes((byte)'t');
        Remember();
        Bytes((byte)'Q');
    }

    private static long[] Strides(long[] shape)
    {
        var strides = new long[shape.Length];
        long stride = 1;
        for (int axis = shape.Length - 1; axis >= 0; axis--)
        {
            strides[axis] = stride;

            // Torch counts an empty axis as one of length 1 here.
            stride *= Math.Max(shape[axis], 1);
        }

        return strides;
    }

    private void WriteTuple(long[] values)
    {
        if (values.Length == 0)
        {
            Bytes((byte)')');
            return;
        }

        if (values.Length > 3)
            Bytes((byte)'(');
        foreach (long value in values)
            WriteInteger(value);

        Bytes(values.Length > 3 ? (byte)'t' : (byte)(0x84 + values.Length));
        Remember();
    }

    private void WriteInteger(long value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        switch (value)
        {
            case >= 0 and <= byte.MaxValue:
                Write((byte)'K', bytes[..1]);
                break;
            case >= 0 and <= ushort.MaxValue:
                Write((byte)'M', bytes[..2]);
                break;
            case >= int.MinValue and <= int.MaxValue:
                Write((byte)'J', bytes[..4]);
                break;
            default:
                // The shortest two's complement that keeps the sign.
                int length = sizeof(long);
                byte sign = value < 0 ? byte.MaxValue : (byte)0;
                while (bytes[length - 1] == sign && ((bytes[length - 2] ^ sign) & 0x80) == 0)
                    length--;

                Bytes(0x8A);
                Write((byte)length, bytes[..length]);
                break;
        }
    }

    private void WriteText(string text)
    {
        WriteRawText(text);
        Remember();
    }

    private void WriteRawText(string text)
    {
        byte[] utf8 = Utf8.GetBytes(text);
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, utf8.Length);
        Write((byte)'X', length);
        _bytes.Write(utf8);
    }

    private void WriteGlobal(string module, string name) =>
        WriteShared($"{module}\n{name}\n", global =>
        {
            Bytes((byte)'c');
            _bytes.Write(Utf8.GetBytes(global));
        });

    private void WriteShared(string text, Action<string> write)
    {
        if (_shared.TryGetValue(text, out int number))
        {
            WriteNumber((byte)'h', (byte)'j', number);
            return;
        }

        write(text);
        _shared.Add(text, _remembered);
        Remember();
    }

    private void Remember() => WriteNumber((byte)'q', (byte)'r', _remembered++);

    private void WriteNumber(byte shortCode, byte longCode, int number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        bool isShort = number <= byte.MaxValue;
        Write(isShort ? shortCode : longCode, bytes[..(isShort ? 1 : 4)]);
    }

    private void Write(byte opcode, ReadOnlySpan<byte> bytes)
    {
        Bytes(opcode);
        _bytes.Write(bytes);
    }

    private void Bytes(params ReadOnlySpan<byte> bytes) => _bytes.Write(bytes);
}
