using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace MoeKernels.Packed;

/// <summary>
/// Writes uncompressed ZIP records as torch's archive writer lays them out: data at multiples of 64 behind an extra
/// field <c>FB</c> of <c>Z</c>s, checksums in a descriptor behind the data, and always a 64-bit end record.
/// </summary>
internal sealed class ZipWriter
{
    private const int Alignment = 64;
    private const int HeaderBytes = 30;

    /// <summary>Names are UTF-8.</summary>
    private const ushort Utf8Flag = 0x0800;

    /// <summary>Checksum and sizes stand behind the data; torch omits them for empty records.</summary>
    private const ushort DescriptorFlag = 0x0008;

    private readonly Stream _stream;
    private readonly string _path;
    private readonly ArrayBufferWriter<byte> _directory = new();
    private long _position;
    private long _count;

    /// <summary>Starts an archive.</summary>
    /// <param name="stream">Takes the bytes.</param>
    /// <param name="path">Name for messages.</param>
    internal ZipWriter(Stream stream, string path)
    {
        _stream = stream;
        _path = path;
    }

    /// <summary>The directory so far: names, sizes and checksums of all records.</summary>
    internal ReadOnlySpan<byte> Directory => _directory.WrittenSpan;

    /// <summary>Adds a record.</summary>
    /// <exception cref="MoeUnsupportedException">The archive would exceed 4 GiB, where torch changes its
    /// layout.</exception>
    internal void Add(string name, ReadOnlySpan<byte> data)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(name);
        if (_position + data.Length + utf8.Length + HeaderBytes + (2 * Alignment) >= uint.MaxValue)
            throw new MoeUnsupportedException("writing a torch archive of more than 4 GiB", _path);

        uint crc = Crc32.Of(data);
        ushort flags = data.IsEmpty ? Utf8Flag : (ushort)(Utf8Flag | DescriptorFlag);
        AddToDirectory(utf8, flags, crc, (uint)data.Length);
        WriteHeader(utf8, flags);
        Write(data);
        if (!data.IsEmpty)
            WriteDescriptor(crc, (uint)data.Length);
    }

    /// <summary>Writes the directory and the end records.</summary>
    internal void Finish()
    {
        long start = _position;
        Write(Directory);
        long largeEnd = _position;
        Span<byte> end = stackalloc byte[98];
        end.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(end, 0x06064B50);
        BinaryPrimitives.WriteInt64LittleEndian(end[4..], 44);
        BinaryPrimitives.WriteUInt16LittleEndian(end[12..], 0x031E);
        BinaryPrimitives.WriteUInt16LittleEndian(end[14..], 45);
        BinaryPrimitives.WriteInt64LittleEndian(end[24..], _count);
        BinaryPrimitives.WriteInt64LittleEndian(end[32..], _count);
        BinaryPrimitives.WriteInt64LittleEndian(end[40..], _directory.WrittenCount);
        BinaryPrimitives.WriteInt64LittleEndian(end[48..], start);

        BinaryPrimitives.WriteUInt32LittleEndian(end[56..], 0x07064B50);
        BinaryPrimitives.WriteInt64LittleEndian(end[64..], largeEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(end[72..], 1);

        BinaryPrimitives.WriteUInt32LittleEndian(end[76..], 0x06054B50);
        ushort count = (ushort)Math.Min(_count, ushort.MaxValue);
        BinaryPrimitives.WriteUInt16LittleEndian(end[84..], count);
        BinaryPrimitives.WriteUInt16LittleEndian(end[86..], count);
        BinaryPrimitives.WriteUInt32LittleEndian(end[88..], (uint)Math.Min(_directory.WrittenCount, uint.MaxValue));
        BinaryPrimitives.WriteUInt32LittleEndian(end[92..], (uint)Math.Min(start, uint.MaxValue));
        Write(end);
    }

    private void WriteHeader(byte[] name, ushort flags)
    {
        long unpadded = _position + HeaderBytes + name.Length + 4;
        int padding = (int)(-unpadded & (Alignment - 1));
        byte[] header = new byte[HeaderBytes + name.Length + 4 + padding];
        BinaryPrimitives.WriteUInt32LittleEndian(header, 0x04034B50);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(6), flags);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(26), (ushort)name.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(28), (ushort)(4 + padding));
        name.CopyTo(header, HeaderBytes);
        Span<byte> extra = header.AsSpan(HeaderBytes + name.Length);
        "FB"u8.CopyTo(extra);
        BinaryPrimitives.WriteUInt16LittleEndian(extra[2..], (ushort)padding);
        extra[4..].Fill((byte)'Z');
        Write(header);
    }

    private void WriteDescriptor(uint crc, uint length)
    {
        Span<byte> descriptor = stackalloc byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor, 0x08074B50);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[4..], crc);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], length);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[12..], length);
        Write(descriptor);
    }

    private void AddToDirectory(byte[] name, ushort flags, uint crc, uint length)
    {
        Span<byte> entry = stackalloc byte[46];
        entry.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(entry, 0x02014B50);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[8..], flags);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], crc);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[20..], length);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[24..], length);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[28..], (ushort)name.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[42..], (uint)_position);
        _directory.Write(entry);
        _directory.Write(name);
        _count++;
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        _stream.Write(bytes);
        _position += bytes.Length;
    }
}
