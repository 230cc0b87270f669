using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace MoeKernels.Formats;

/// <summary>
/// Writes a safetensors file: declare the tensors, then save. The bytes of a tensor are asked for while the file is
/// written, so that a file larger than the memory can be produced.
/// </summary>
/// <remarks>
/// The same tensors give the same file, in whatever order they were added: wider elements first, then by name, as the
/// reference implementation orders them. This keeps every tensor aligned to its element. Not thread-safe.
/// </remarks>
public sealed class SafetensorsWriter
{
    /// <summary>The header is padded with spaces so that the data start at a multiple of this.</summary>
    private const int Alignment = 8;

    private const int BufferBytes = 1 << 20;

    /// <summary>Leaves room for the header below the largest file position.</summary>
    private const long MaxDataBytes = long.MaxValue / 2;

    /// <summary>Throws for text that has no UTF-8 form instead of replacing it.</summary>
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private long _dataBytes;

    /// <summary>Strings for <c>__metadata__</c>; nothing is written when it is empty.</summary>
    public IDictionary<string, string> Metadata { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Declares a tensor whose bytes are produced while saving.</summary>
    /// <param name="name">Name, not <c>__metadata__</c>.</param>
    /// <param name="elementType">Encoding of the elements.</param>
    /// <param name="shape">Extents, slowest axis first; empty for a scalar.</param>
    /// <param name="write">Writes exactly the bytes that type and shape ask for, little-endian.</param>
    /// <exception cref="ArgumentException">The name is taken or reserved, or the shape is no whole number of
    /// bytes.</exception>
    public void Add(string name, ElementType elementType, ReadOnlySpan<long> shape, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(write);
        if (name == SafetensorsHeader.MetadataKey)
            throw new ArgumentException($"'{name}' is reserved.", nameof(name));

        _ = Utf8.GetByteCount(name);

        foreach (long extent in shape)
            ArgumentOutOfRangeException.ThrowIfNegative(extent, nameof(shape));

        if (shape.Length > SafetensorsHeader.MaxRank
            || !SafetensorsHeader.TryCountBytes(elementType, shape, out long bytes)
            || bytes > MaxDataBytes - _dataBytes)
        {
            throw new ArgumentException(
                $"The shape of '{name}' is no whole number of bytes, or the file grows beyond 2^62.", nameof(shape));
        }

        if (!_entries.TryAdd(name, new Entry(name, elementType, shape.ToArray(), bytes, write)))
            throw new ArgumentException($"'{name}' was added before.", nameof(name));

        _dataBytes += bytes;
    }

    /// <summary>Declares a tensor from values in memory, which are read while saving.</summary>
    /// <typeparam name="T">Element type: float, double, Half, or an integer of the stored width (ushort for
    /// BF16).</typeparam>
    /// <param name="name">Name, not <c>__metadata__</c>.</param>
    /// <param name="elementType">Encoding; its width must be that of <typeparamref name="T"/>.</param>
    /// <param name="shape">Extents, slowest axis first; empty for a scalar.</param>
    /// <param name="values">The elements, row-major.</param>
    /// <exception cref="ArgumentException">The values do not fill the shape.</exception>
    public void Add<T>(string name, ElementType elementType, ReadOnlySpan<long> shape, ReadOnlyMemory<T> values)
        where T : unmanaged
    {
        if (!BitConverter.IsLittleEndian)
            throw new PlatformNotSupportedException("Values in memory are little-endian in the file.");

        long valueBytes = (long)values.Length * Unsafe.SizeOf<T>();
        if (!SafetensorsHeader.TryCountBytes(elementType, shape, out long bytes) || bytes != valueBytes)
            throw new ArgumentException($"{valueBytes} bytes of values do not fill '{name}'.", nameof(values));

        Add(name, elementType, shape, stream => WriteValues(stream, values.Span));
    }

    /// <summary>Declares an fp32 tensor.</summary>
    /// <exception cref="ArgumentException">The values do not fill the shape.</exception>
    public void Add(string name, ReadOnlySpan<long> shape, ReadOnlyMemory<float> values) =>
        Add(name, ElementType.F32, shape, values);

    /// <summary>Declares an int32 tensor.</summary>
    /// <exception cref="ArgumentException">The values do not fill the shape.</exception>
    public void Add(string name, ReadOnlySpan<long> shape, ReadOnlyMemory<int> values) =>
        Add(name, ElementType.I32, shape, values);

    /// <summary>Declares an int64 tensor.</summary>
    /// <exception cref="ArgumentException">The values do not fill the shape.</exception>
    public void Add(string name, ReadOnlySpan<long> shape, ReadOnlyMemory<long> values) =>
        Add(name, ElementType.I64, shape, values);

    /// <summary>
    /// Writes the file under a temporary name in the same folder, flushes it to the disk and renames it. After any
    /// failure, such as a full disk, the temporary file is gone and a file of that name is as it was.
    /// </summary>
    /// <param name="path">Path of the file; an existing one is replaced.</param>
    /// <param name="cancellationToken">Stops between two tensors.</param>
    /// <exception cref="MoeException">The file cannot be written.</exception>
    /// <exception cref="InvalidOperationException">A tensor's callback wrote another number of bytes than
    /// declared.</exception>
    public void Save(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Entry[] entries = [.. _entries.Values
            .OrderByDescending(entry => entry.Type.Bits())
            .ThenBy(entry => entry.Name, StringComparer.Ordinal)];
        byte[] header = BuildHeader(entries);
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            WriteAll(temporary, header, entries, cancellationToken);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (FileFailure.Is(e) || e is NotSupportedException)
        {
            throw new MoeException($"{path}: cannot be written: {e.Message}", e);
        }
        finally
        {
            Remove(temporary);
        }
    }

    /// <summary>In parts, because a span of bytes ends at 2^31.</summary>
    private static void WriteValues<T>(Stream stream, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        while (!values.IsEmpty)
        {
            int part = Math.Min(values.Length, BufferBytes);
            stream.Write(MemoryMarshal.AsBytes(values[..part]));
            values = values[part..];
        }
    }

    private void WriteAll(string path, byte[] header, Entry[] entries, CancellationToken cancellationToken)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.None,
            BufferSize = BufferBytes,
            // A disk that is too small is found out before anything is computed.
            PreallocationSize = header.Length + _dataBytes,
        };
        using var file = new FileStream(path, options);
        file.Write(header);
        foreach (Entry entry in entries)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long start = file.Position;
            entry.Write(file);
            if (file.Position - start != entry.Bytes)
                throw new InvalidOperationException(
                    $"'{entry.Name}' wrote {file.Position - start} bytes instead of {entry.Bytes}.");
        }

        file.Flush(flushToDisk: true);
    }

    /// <summary>The length field and the padded JSON text.</summary>
    private byte[] BuildHeader(Entry[] entries)
    {
        using var json = new MemoryStream();
        json.Write(new byte[SafetensorsHeader.PrefixBytes]);
        using (var writer = new Utf8JsonWriter(json))
        {
            writer.WriteStartObject();
            WriteMetadata(writer);
            long position = 0;
            foreach (Entry entry in entries)
            {
                WriteEntry(writer, entry, position);
                position += entry.Bytes;
            }

            writer.WriteEndObject();
        }

        while (json.Length % Alignment != 0)
            json.WriteByte((byte)' ');

        byte[] header = json.ToArray();
        long jsonBytes = header.Length - SafetensorsHeader.PrefixBytes;
        BinaryPrimitives.WriteInt64LittleEndian(header, jsonBytes);
        return jsonBytes <= SafetensorsHeader.MaxBytes
            ? header
            : throw new InvalidOperationException($"A header of {jsonBytes} bytes exceeds what readers accept.");
    }

    private void WriteMetadata(Utf8JsonWriter writer)
    {
        if (Metadata.Count == 0)
            return;

        writer.WriteStartObject(SafetensorsHeader.MetadataKey);
        foreach ((string key, string value) in Metadata)
            writer.WriteString(key, value);

        writer.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter writer, Entry entry, long position)
    {
        writer.WriteStartObject(entry.Name);
        writer.WriteString("dtype", entry.Type.FormatName());
        writer.WriteStartArray("shape");
        foreach (long extent in entry.Shape)
            writer.WriteNumberValue(extent);

        writer.WriteEndArray();
        writer.WriteStartArray("data_offsets");
        writer.WriteNumberValue(position);
        writer.WriteNumberValue(position + entry.Bytes);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void Remove(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            // The failure that led here is the one to report.
        }
    }

    /// <summary>A declared tensor.</summary>
    private sealed record Entry(string Name, ElementType Type, long[] Shape, long Bytes, Action<Stream> Write);
}
