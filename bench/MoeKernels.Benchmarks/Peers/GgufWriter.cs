using System.Text;

namespace MoeKernels.Benchmarks.Peers;

/// <summary>Writes files in llama.cpp's format GGUF, version 3: keys, tensor descriptions, tensors.</summary>
internal sealed class GgufWriter
{
    private const uint Version = 3;
    private const uint TypeUInt32 = 4;
    private const uint TypeSingle = 6;
    private const uint TypeString = 8;
    private const int Alignment = 32;

    private readonly MemoryStream _keys = new();
    private readonly MemoryStream _tensors = new();
    private readonly List<(long Bytes, Action<Stream> Write)> _data = [];
    private ulong _keyCount;
    private long _offset;

    public void Add(string key, uint value) => AddKey(key, TypeUInt32).Write(value);

    public void Add(string key, float value) => AddKey(key, TypeSingle).Write(value);

    public void Add(string key, string value) => Write(AddKey(key, TypeString), value);

    /// <summary>Declares a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Number of its element type.</param>
    /// <param name="shape">Extents, fastest first.</param>
    /// <param name="bytes">Its size.</param>
    /// <param name="write">Writes exactly so many bytes.</param>
    public void Add(string name, uint type, ReadOnlySpan<long> shape, long bytes, Action<Stream> write)
    {
        using var writer = new BinaryWriter(_tensors, Encoding.UTF8, leaveOpen: true);
        Write(writer, name);
        writer.Write((uint)shape.Length);
        foreach (long extent in shape)
            writer.Write(extent);
        writer.Write(type);
        writer.Write(_offset);
        _data.Add((bytes, write));
        _offset += Padded(bytes);
    }

    public void Save(string path)
    {
        using var file = File.Create(path);
        using var writer = new BinaryWriter(file);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)_data.Count);
        writer.Write(_keyCount);
        _keys.WriteTo(file);
        _tensors.WriteTo(file);
        foreach ((long bytes, Action<Stream> write) in _data)
        {
            // Padding before each tensor: after the descriptions, and behind the tensor before.
            file.Position = Padded(file.Position);
            long end = file.Position + bytes;
            write(file);
            if (file.Position != end)
                throw new InvalidOperationException("A tensor of another size was written.");
        }

        file.SetLength(Padded(file.Position));
    }

    private static long Padded(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Write(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private BinaryWriter AddKey(string key, uint type)
    {
        _keyCount++;
        var writer = new BinaryWriter(_keys, Encoding.UTF8, leaveOpen: true);
        Write(writer, key);
        writer.Write(type);
        return writer;
    }
}
