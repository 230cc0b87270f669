using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace MoeKernels.Packed;

/// <summary>
/// Writes a dictionary of tensors or integers as a recent <c>torch.save</c> does: the same records in the same
/// order, padding and directory, so that a file read and written again is the same file.
/// </summary>
/// <remarks>The bytes of a tensor are asked for while the file is written. Not thread-safe.</remarks>
internal sealed class TorchFileWriter
{
    private readonly List<KeyValuePair<string, object>> _items = [];
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly List<Func<ReadOnlyMemory<byte>>> _storages = [];

    /// <summary>Declares every item of another file, which must stay open until this one is saved.</summary>
    internal static TorchFileWriter CopyOf(TorchFile source)
    {
        var writer = new TorchFileWriter();
        foreach ((string name, object value) in source.Items)
        {
            if (value is TorchTensor tensor)
                writer.Add(name, tensor.Type, tensor.Shape, () => source.ReadBytes(name));
            else
                writer.Add(name, (long)value);
        }

        return writer;
    }

    /// <summary>Declares an integer.</summary>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    internal void Add(string name, long value) => AddItem(name, value);

    /// <summary>Declares a tensor with a storage of its own.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Encoding of the elements.</param>
    /// <param name="shape">Extents, slowest axis first.</param>
    /// <param name="read">Answers the bytes, little-endian; called while the file is written.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    /// <exception cref="MoeUnsupportedException">Torch has no such type.</exception>
    internal void Add(string name, ElementType type, long[] shape, Func<ReadOnlyMemory<byte>> read)
    {
        _ = TorchTypes.StorageName(type);
        long count = shape.Aggregate(1L, (product, extent) => checked(product * extent));
        AddItem(name, new TorchTensor(type, $"{_storages.Count}", count, 0, shape));
        _storages.Add(read);
    }

    /// <summary>Writes the file under a temporary name, flushes it to the disk and renames it.</summary>
    /// <param name="path">Path of the file; an existing one is replaced. Its name without ending names the
    /// archive's folder, as torch has it.</param>
    /// <param name="serializationId">The 40 digits of a file that is copied; by default they follow from the
    /// content.</param>
    /// <exception cref="MoeException">The file cannot be written.</exception>
    /// <exception cref="MoeUnsupportedException">The archive would exceed 4 GiB.</exception>
    internal void Save(string path, string? serializationId = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                WriteAll(new ZipWriter(file, path), Path.GetFileNameWithoutExtension(path), serializationId);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new MoeException($"{path}: cannot be written: {e.Message}", e);
        }
        finally
        {
            Remove(temporary);
        }
    }

    private void AddItem(string name, object value)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!_names.Add(name))
            throw new ArgumentException($"'{name}' was added before.", nameof(name));

        _items.Add(new(name, value));
    }

    private void WriteAll(ZipWriter zip, string root, string? serializationId)
    {
        zip.Add($"{root}/data.pkl", PickleWriter.Write(_items));
        zip.Add($"{root}/.format_version", "1"u8);
        zip.Add($"{root}/.storage_alignment", "64"u8);
        zip.Add($"{root}/byteorder", "little"u8);
        TorchTensor[] tensors = [.. _items.Select(item => item.Value).OfType<TorchTensor>()];
        foreach ((TorchTensor tensor, Func<ReadOnlyMemory<byte>> read) in tensors.Zip(_storages))
        {
            ReadOnlyMemory<byte> bytes = read();
            if (bytes.Length != tensor.Count * tensor.Type.Bits() / 8)
                throw new InvalidOperationException(
                    $"{bytes.Length} bytes are not the {tensor.Count} elements of storage {tensor.Key}.");

            zip.Add($"{root}/data/{tensor.Key}", bytes.Span);
        }

        zip.Add($"{root}/version", "3\n"u8);
        zip.Add($"{root}/.data/serialization_id", Encoding.ASCII.GetBytes(serializationId ?? NewId(zip.Directory)));
        zip.Finish();
    }

    /// <summary>Torch hashes names and checksums with its C++ library's hash; any 40 digits that follow from the
    /// content serve.</summary>
    private static string NewId(ReadOnlySpan<byte> directory)
    {
        byte[] hash = SHA256.HashData(directory);
        ulong first = BinaryPrimitives.ReadUInt64LittleEndian(hash);
        ulong second = BinaryPrimitives.ReadUInt64LittleEndian(hash.AsSpan(8));
        return $"{first:D20}{second:D20}";
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
}
