using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>One stored record of a ZIP file.</summary>
/// <param name="Name">Name in the archive.</param>
/// <param name="HeaderOffset">Position of the local header.</param>
/// <param name="Length">Bytes of the record.</param>
/// <param name="Crc">Its checksum.</param>
internal sealed record ZipRecord(string Name, long HeaderOffset, long Length, uint Crc);

/// <summary>Reads the directory of a ZIP file, with the 64-bit fields of large ones. Only uncompressed records are
/// accepted, as torch writes no others.</summary>
internal sealed class ZipDirectory
{
    private const int EndBytes = 22;
    private const int EntryBytes = 46;
    private const int LocatorBytes = 20;
    private const int LargeEndBytes = 56;

    /// <summary>About 100,000 records; a layer of the largest published checkpoint has 16,000.</summary>
    private const int MaxDirectoryBytes = 8 << 20;

    private readonly string _path;
    private readonly SafeFileHandle _file;
    private readonly long _length;

    private ZipDirectory(string path, SafeFileHandle file, long length)
    {
        _path = path;
        _file = file;
        _length = length;
    }

    /// <summary>Records by name.</summary>
    internal Dictionary<string, ZipRecord> Records { get; } = new(StringComparer.Ordinal);

    /// <summary>Reads the directory at the end of a file.</summary>
    /// <exception cref="MoeFormatException">There is none or it is not valid.</exception>
    /// <exception cref="MoeUnsupportedException">A record is compressed or encrypted.</exception>
    /// <exception cref="IOException">The disk failed.</exception>
    internal static ZipDirectory Read(string path, SafeFileHandle file, long length)
    {
        var directory = new ZipDirectory(path, file, length);
        (long start, long bytes, long count) = directory.FindDirectory();
        if (bytes > MaxDirectoryBytes)
            throw directory.Error($"a directory of {bytes} bytes exceeds {MaxDirectoryBytes}");

        directory.Parse(directory.Bytes(start, (int)bytes), count);
        return directory;
    }

    /// <summary>Reads bytes that must be in the file.</summary>
    private byte[] Bytes(long offset, int count)
    {
        if (offset < 0 || count < 0 || offset > _length - count)
            throw Error("the archive is truncated or its directory points outside of it");

        var bytes = new byte[count];
        ReadFully(offset, bytes);
        return bytes;
    }

    /// <summary>Fills a span from the file.</summary>
    /// <exception cref="MoeFormatException">The file is shorter than it was.</exception>
    internal void ReadFully(long offset, Span<byte> target)
    {
        while (!target.IsEmpty)
        {
            int read = RandomAccess.Read(_file, target, offset);
            if (read == 0)
                throw Error("the file was cut while it was read");

            target = target[read..];
            offset += read;
        }
    }

    /// <summary>First byte of a record's data, behind a local header that must name the same record.</summary>
    internal long FindData(ZipRecord record)
    {
        const int headerBytes = 30;
        byte[] header = Bytes(record.HeaderOffset, headerBytes);
        int nameBytes = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(26));
        int extraBytes = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(28));
        byte[] name = Bytes(record.HeaderOffset + headerBytes, nameBytes);
        long data = record.HeaderOffset + headerBytes + nameBytes + extraBytes;
        bool isRecord = BinaryPrimitives.ReadUInt32LittleEndian(header) == 0x04034B50
            && Encoding.UTF8.GetString(name) == record.Name;
        if (!isRecord || data > _length - record.Length)
            throw new MoeFormatException(_path, Shown.Short(record.Name), "the directory points to no such record");

        return data;
    }

    private (long Start, long Bytes, long Count) FindDirectory()
    {
        // Torch writes no comment behind the end record, so it stands at the very end.
        long position = _length - EndBytes;
        ReadOnlySpan<byte> end = Bytes(position, EndBytes);
        if (BinaryPrimitives.ReadUInt32LittleEndian(end) != 0x06054B50 || end[20] != 0 || end[21] != 0)
            throw Error("no torch archive: a ZIP directory is not at its end");

        if (position >= LocatorBytes)
        {
            ReadOnlySpan<byte> locator = Bytes(position - LocatorBytes, LocatorBytes);
            if (BinaryPrimitives.ReadUInt32LittleEndian(locator) == 0x07064B50)
                return FindLargeDirectory(BinaryPrimitives.ReadInt64LittleEndian(locator[8..]));
        }

        return (
            BinaryPrimitives.ReadUInt32LittleEndian(end[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(end[12..]),
            BinaryPrimitives.ReadUInt16LittleEndian(end[10..]));
    }

    private (long Start, long Bytes, long Count) FindLargeDirectory(long position)
    {
        ReadOnlySpan<byte> end = Bytes(position, LargeEndBytes);
        long count = BinaryPrimitives.ReadInt64LittleEndian(end[32..]);
        long bytes = BinaryPrimitives.ReadInt64LittleEndian(end[40..]);
        long start = BinaryPrimitives.ReadInt64LittleEndian(end[48..]);
        return BinaryPrimitives.ReadUInt32LittleEndian(end) == 0x06064B50 && bytes >= 0 && start >= 0
            ? (start, bytes, count)
            : throw Error("the 64-bit end record of the ZIP directory is not valid");
    }

    private void Parse(ReadOnlySpan<byte> directory, long count)
    {
        for (; count > 0; count--)
        {
            if (directory.Length < EntryBytes || BinaryPrimitives.ReadUInt32LittleEndian(directory) != 0x02014B50)
                throw Error("the ZIP directory is truncated or not valid");

            int nameBytes = BinaryPrimitives.ReadUInt16LittleEndian(directory[28..]);
            int extraBytes = BinaryPrimitives.ReadUInt16LittleEndian(directory[30..]);
            int commentBytes = BinaryPrimitives.ReadUInt16LittleEndian(directory[32..]);
            if (directory.Length - EntryBytes < nameBytes + extraBytes + commentBytes)
                throw Error("the ZIP directory is truncated");

            string name = Encoding.UTF8.GetString(directory.Slice(EntryBytes, nameBytes));
            AddRecord(name, directory[..EntryBytes], directory.Slice(EntryBytes + nameBytes, extraBytes));
            directory = directory[(EntryBytes + nameBytes + extraBytes + commentBytes)..];
        }

        if (!directory.IsEmpty)
            throw Error("the ZIP directory holds more than it says");
    }

    private void AddRecord(string name, ReadOnlySpan<byte> entry, ReadOnlySpan<byte> extra)
    {
        if (BinaryPrimitives.ReadUInt16LittleEndian(entry[10..]) != 0 || (entry[8] & 1) != 0)
            throw new MoeUnsupportedException($"the compressed or encrypted record '{Shown.Short(name)}'", _path);

        // Fields of all ones stand in the 64-bit extra field instead, in this order.
        ReadOnlySpan<byte> large = FindLargeFields(extra);
        long length = Field(entry[24..], ref large);
        long stored = Field(entry[20..], ref large);
        long offset = Field(entry[42..], ref large);
        if (length != stored || length < 0 || offset < 0 || offset > _length || length > _length)
            throw new MoeFormatException(_path, Shown.Short(name), "the record is not inside the archive");

        uint crc = BinaryPrimitives.ReadUInt32LittleEndian(entry[16..]);
        if (!Records.TryAdd(name, new ZipRecord(name, offset, length, crc)))
            throw new MoeFormatException(_path, Shown.Short(name), "the record is there twice");
    }

    private static long Field(ReadOnlySpan<byte> field, ref ReadOnlySpan<byte> large)
    {
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(field);
        if (value != uint.MaxValue || large.Length < sizeof(long))
            return value;

        long wide = BinaryPrimitives.ReadInt64LittleEndian(large);
        large = large[sizeof(long)..];
        return wide;
    }

    private static ReadOnlySpan<byte> FindLargeFields(ReadOnlySpan<byte> extra)
    {
        while (extra.Length >= 4)
        {
            int id = BinaryPrimitives.ReadUInt16LittleEndian(extra);
            int bytes = Math.Min(BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]), extra.Length - 4);
            if (id == 1)
                return extra.Slice(4, bytes);

            extra = extra[(4 + bytes)..];
        }

        return [];
    }

    private MoeFormatException Error(string problem) => new(_path, null, problem);
}
