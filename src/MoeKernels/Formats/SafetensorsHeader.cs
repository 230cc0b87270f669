using System.Text.Json;
using System.Text.Unicode;

namespace MoeKernels.Formats;

/// <summary>
/// Reads and checks the JSON header of a safetensors file: every byte of the data belongs to exactly one tensor, and
/// each tensor has the bytes its type and shape ask for. Anything else is refused by name.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>Largest header, as in the reference implementation.</summary>
    internal const long MaxBytes = 100_000_000;

    /// <summary>The length field in front of the header.</summary>
    internal const int PrefixBytes = 8;

    /// <summary>The header's one key that is no tensor.</summary>
    internal const string MetadataKey = "__metadata__";

    /// <summary>No tensor library goes beyond 64 axes; without a limit one entry could fill the memory.</summary>
    internal const int MaxRank = 64;

    private readonly string _file;
    private readonly long _dataStart;
    private readonly long _dataBytes;

    private SafetensorsHeader(string file, long headerBytes, long fileBytes)
    {
        _file = file;
        _dataStart = PrefixBytes + headerBytes;
        _dataBytes = fileBytes - _dataStart;
    }

    /// <summary>Tensors by name, in the header's order.</summary>
    internal Dictionary<string, TensorInfo> Tensors { get; } = new(StringComparer.Ordinal);

    /// <summary>The strings of <c>__metadata__</c>.</summary>
    internal Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>Reads a header.</summary>
    /// <param name="file">Path for messages.</param>
    /// <param name="json">The header without its length field.</param>
    /// <param name="fileBytes">Length of the whole file.</param>
    /// <exception cref="MoeFormatException">The header is not valid or does not fit the file.</exception>
    internal static SafetensorsHeader Parse(string file, ReadOnlySpan<byte> json, long fileBytes)
    {
        var header = new SafetensorsHeader(file, json.Length, fileBytes);
        if (json.IsEmpty || json[0] != (byte)'{')
            throw header.Error(null, "the header does not start with '{'");

        if (!Utf8.IsValid(json))
            throw header.Error(null, "the header is not UTF-8");

        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 16 });
            header.ReadRoot(ref reader);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The reader throws InvalidOperationException for escapes that are no text, such as a lone surrogate.
            throw new MoeFormatException(file, null, $"the header is not valid JSON: {Shown.Short(e.Message)}", e);
        }

        header.CheckLayout();
        return header;
    }

    private void ReadRoot(ref Utf8JsonReader reader)
    {
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            if (name == MetadataKey)
                ReadMetadata(ref reader);
            else if (!Tensors.TryAdd(name, ReadTensor(ref reader, name)))
                throw Error(name, "the tensor is listed twice");
        }

        // Reads what follows the closing brace, where only white space is valid.
        reader.Read();
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        Expect(ref reader, JsonTokenType.StartObject, MetadataKey, "an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            Expect(ref reader, JsonTokenType.String, MetadataKey, "an object of strings");
            if (!Metadata.TryAdd(key, reader.GetString()!))
                throw Error(MetadataKey, $"'{Shown.Short(key)}' is listed twice");
        }
    }

    private TensorInfo ReadTensor(ref Utf8JsonReader reader, string name)
    {
        Expect(ref reader, JsonTokenType.StartObject, name, "an object");
        string? dtype = null;
        long[]? shape = null;
        long[]? offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            bool repeated = false;
            switch (key)
            {
                case "dtype":
                    Expect(ref reader, JsonTokenType.String, name, "a string as dtype");
                    repeated = dtype is not null;
                    dtype = reader.GetString();
                    break;
                case "shape":
                    repeated = shape is not null;
                    shape = ReadIntegers(ref reader, name, "shape");
                    break;
                case "data_offsets":
                    repeated = offsets is not null;
                    offsets = ReadIntegers(ref reader, name, "data_offsets");
                    break;
                default:
                    // The format leaves room for more keys; the reference implementation ignores them too.
                    reader.Skip();
                    break;
            }

            if (repeated)
                throw Error(name, $"{key} is given twice");
        }

        return CheckTensor(name, dtype, shape, offsets);
    }

    private long[] ReadIntegers(ref Utf8JsonReader reader, string name, string key)
    {
        Expect(ref reader, JsonTokenType.StartArray, name, $"an array as {key}");
        var values = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (values.Count == MaxRank)
                throw Error(name, $"{key} has more than {MaxRank} entries");

            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long value))
                throw Error(name, $"{key} holds something that is not a 64-bit integer");

            if (value < 0)
                throw Error(name, $"{key} holds a negative number: {value}");

            values.Add(value);
        }

        return [.. values];
    }

    private TensorInfo CheckTensor(string name, string? dtype, long[]? shape, long[]? offsets)
    {
        if (dtype is null || shape is null || offsets is null)
            throw Error(name, $"{(dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets")} is missing");

        if (!ElementTypes.TryParse(dtype, out ElementType type))
            throw Error(name, $"unknown dtype '{Shown.Short(dtype)}'");

        if (offsets.Length != 2)
            throw Error(name, $"data_offsets has {offsets.Length} entries instead of 2");

        (long begin, long end) = (offsets[0], offsets[1]);
        if (begin > end)
            throw Error(name, $"data_offsets run backwards: {begin} to {end}");

        if (end > _dataBytes)
            throw Error(name, $"the data end at byte {end}, but the file holds only {_dataBytes}: it is truncated");

        string shown = $"{dtype} [{string.Join(", ", shape)}]";
        if (!TryCountBytes(type, shape, out long bytes))
            throw Error(name, $"{shown} is no whole number of bytes below 2^63");

        return bytes == end - begin
            ? new TensorInfo(name, type, shape, _dataStart + begin, bytes)
            : throw Error(name, $"{shown} takes {bytes} bytes, data_offsets span {end - begin}");
    }

    /// <summary>Bytes of a tensor; false when they overflow or end inside a byte.</summary>
    internal static bool TryCountBytes(ElementType type, ReadOnlySpan<long> shape, out long bytes)
    {
        bytes = 0;
        UInt128 bits = 1;
        foreach (long extent in shape)
        {
            bits *= (ulong)extent;
            if (bits > long.MaxValue)
                return false;
        }

        bits *= (uint)type.Bits();
        bytes = (long)(bits / 8);
        return bits % 8 == 0 && bits / 8 <= long.MaxValue;
    }

    private void CheckLayout()
    {
        long position = _dataStart;
        string previous = "the header";
        foreach (TensorInfo tensor in Tensors.Values.OrderBy(t => t.Offset).ThenBy(t => t.ByteLength))
        {
            if (tensor.Offset < position)
                throw Error(tensor.Name, $"the data overlap those of '{Shown.Short(previous)}'");

            if (tensor.Offset > position)
                throw Error(tensor.Name, $"{tensor.Offset - position} bytes before the data belong to no tensor");

            position += tensor.ByteLength;
            previous = tensor.Name;
        }

        long end = _dataStart + _dataBytes;
        if (position != end)
            throw Error(null, $"the last {end - position} bytes belong to no tensor");
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType type, string name, string wanted)
    {
        if (reader.TokenType != type)
            throw Error(name, $"the header holds {reader.TokenType} where {wanted} belongs");
    }

    private MoeFormatException Error(string? tensor, string problem) =>
        new(_file, tensor is null ? null : Shown.Short(tensor), problem);
}
