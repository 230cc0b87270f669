using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>
/// A file that <c>torch.save</c> wrote of one dictionary of tensors or integers. Opening reads the directory and the
/// pickle; a tensor's bytes are read when they are asked for, and their checksum is verified.
/// </summary>
/// <remarks>Thread-safe. Nothing in the file is executed: see <see cref="PickleReader"/>.</remarks>
internal sealed class TorchFile : IDisposable
{
    private const string PickleRecord = "data.pkl";

    /// <summary>About 150 bytes a tensor; a layer of the largest published checkpoint has 16,000 tensors.</summary>
    private const int MaxPickleBytes = 8 << 20;

    private const int MaxTextBytes = 64;

    private readonly SafeFileHandle _handle;
    private readonly ZipDirectory _directory;
    private readonly string _root;

    private TorchFile(string path, SafeFileHandle handle, ZipDirectory directory)
    {
        Path = path;
        _handle = handle;
        _directory = directory;
        _root = FindRoot();
        if (ReadText("byteorder") is { } order && order != "little")
            throw new MoeUnsupportedException($"the byte order '{Shown.Short(order)}'", path);

        ZipRecord pickle = Record(PickleRecord);
        if (pickle.Length > MaxPickleBytes)
            throw new MoeFormatException(path, PickleRecord, $"{pickle.Length} bytes exceed {MaxPickleBytes}");

        Items = PickleReader.Read(path, ReadRecord(pickle));
        Tensors = Items.Where(item => item.Value is TorchTensor)
            .ToDictionary(item => item.Key, item => (TorchTensor)item.Value, StringComparer.Ordinal);
        SerializationId = ReadText(".data/serialization_id");
    }

    /// <summary>Path as it was given.</summary>
    internal string Path { get; }

    /// <summary>The dictionary in its order; values are <see cref="TorchTensor"/> or long.</summary>
    internal IReadOnlyList<KeyValuePair<string, object>> Items { get; }

    /// <summary>The tensors by name.</summary>
    internal IReadOnlyDictionary<string, TorchTensor> Tensors { get; }

    /// <summary>The digits by which torch tells files apart, or null in files of older versions.</summary>
    internal string? SerializationId { get; }

    /// <summary>Opens a file.</summary>
    /// <exception cref="MoeFormatException">The file is missing, unreadable, truncated or not valid.</exception>
    /// <exception cref="MoeUnsupportedException">The file uses what the restricted reader refuses.</exception>
    internal static TorchFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafeFileHandle? handle = null;
        try
        {
            // Asked before opening: a pipe or device has length 0 here, and opening a pipe would wait for its writer.
            long length = FileLength.Of(path);
            if (length == 0)
                throw new MoeFormatException(path, null, "the file is empty");

            handle = File.OpenHandle(path);
            return new TorchFile(path, handle, ZipDirectory.Read(path, handle, length));
        }
        catch (Exception e)
        {
            handle?.Dispose();
            if (e is FileNotFoundException or DirectoryNotFoundException)
                throw new MoeFormatException(path, null, "the file does not exist", e);
            if (e is IOException or UnauthorizedAccessException or NotSupportedException)
                throw Unreadable(path, e);

            throw;
        }
    }

    /// <summary>Reads a tensor of a given type.</summary>
    /// <typeparam name="T">An element of the stored width.</typeparam>
    /// <exception cref="MoeFormatException">There is no such tensor of that type, or its record is
    /// damaged.</exception>
    /// <exception cref="MoeUnsupportedException">The tensor has 2 GiB or more.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    internal T[] Read<T>(string name, ElementType type)
        where T : unmanaged
    {
        TorchTensor tensor = Find(name);
        if (tensor.Type != type || type.Bits() != 8 * Unsafe.SizeOf<T>())
            throw Error(name, $"is {tensor.Type.FormatName()} where {type.FormatName()} belongs");

        return MemoryMarshal.Cast<byte, T>(ReadBytes(name).Span).ToArray();
    }

    /// <summary>First byte of a tensor in the file; its checksum is not verified.</summary>
    /// <exception cref="MoeFormatException">There is no such tensor, or its record is damaged.</exception>
    internal long DataOffset(string name)
    {
        TorchTensor tensor = Find(name);
        try
        {
            return _directory.FindData(StorageRecord(name, tensor)) + (tensor.Offset * tensor.Type.Bits() / 8);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw Unreadable(Path, e);
        }
    }

    /// <summary>Reads the bytes of a tensor, little-endian.</summary>
    /// <exception cref="MoeFormatException">There is no such tensor, or its record is damaged.</exception>
    /// <exception cref="MoeUnsupportedException">The tensor has 2 GiB or more.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    internal ReadOnlyMemory<byte> ReadBytes(string name)
    {
        TorchTensor tensor = Find(name);
        int width = tensor.Type.Bits() / 8;

        // The storage is read whole, so that its checksum counts; sizes are those of the file by now.
        byte[] storage = ReadRecord(StorageRecord(name, tensor));
        return storage.AsMemory((int)(tensor.Offset * width), (int)(tensor.Count * width));
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _handle.Dispose();

    private ZipRecord StorageRecord(string name, TorchTensor tensor)
    {
        int width = tensor.Type.Bits() / 8;
        ZipRecord record = Record($"data/{tensor.Key}");
        return record.Length == tensor.StorageCount * width
            ? record
            : throw Error(name, $"{record.Length} bytes do not hold {tensor.StorageCount} elements of {width} bytes");
    }

    private TorchTensor Find(string name) =>
        Tensors.TryGetValue(name, out TorchTensor? tensor)
            ? tensor
            : throw Error(name, $"the tensor is missing{Shown.NearNames(Tensors.Keys, name)}");

    /// <summary>The folder all records are in, which torch names after the file.</summary>
    private string FindRoot()
    {
        string[] roots = _directory.Records.Keys
            .Where(name => name.EndsWith($"/{PickleRecord}", StringComparison.Ordinal))
            .Select(name => name[..^PickleRecord.Length])
            .ToArray();
        return roots.Length == 1
            ? roots[0]
            : throw new MoeFormatException(Path, null, $"the archive holds {roots.Length} pickles instead of one");
    }

    private ZipRecord Record(string name) =>
        _directory.Records.TryGetValue(_root + name, out ZipRecord? record)
            ? record
            : throw Error(name, "the record is missing");

    private string? ReadText(string name)
    {
        if (!_directory.Records.TryGetValue(_root + name, out ZipRecord? record))
            return null;

        return record.Length <= MaxTextBytes
            ? Encoding.UTF8.GetString(ReadRecord(record))
            : throw Error(name, $"{record.Length} bytes are too long for the record");
    }

    private byte[] ReadRecord(ZipRecord record)
    {
        if (record.Length > Array.MaxLength)
            throw new MoeUnsupportedException($"a record of {record.Length} bytes", Path);

        try
        {
            long position = _directory.FindData(record);
            byte[] bytes = GC.AllocateUninitializedArray<byte>((int)record.Length);
            _directory.ReadFully(position, bytes);
            return Crc32.Of(bytes) == record.Crc ? bytes : throw Error(record.Name, "the checksum is wrong");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw Unreadable(Path, e);
        }
    }

    private static MoeFormatException Unreadable(string path, Exception e) =>
        new(path, null, $"the file cannot be read: {e.Message}", e);

    private MoeFormatException Error(string item, string problem) => new(Path, Shown.Short(item), problem);
}
