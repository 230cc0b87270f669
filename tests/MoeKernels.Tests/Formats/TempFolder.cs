using System.Buffers.Binary;
using System.Text;

namespace MoeKernels.Tests.Formats;

/// <summary>A folder for files a test writes; gone afterwards.</summary>
internal sealed class TempFolder : IDisposable
{
    internal string Path { get; } = Directory.CreateTempSubdirectory("moek-").FullName;

    internal string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>Writes a text file and answers its path.</summary>
    internal string Write(string name, string text) => Write(name, Encoding.UTF8.GetBytes(text));

    internal string Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(this[name], bytes);
        return this[name];
    }

    /// <summary>Writes a safetensors file with a true length field, the header as it is given, and data 0, 1,
    /// 2...</summary>
    internal string WriteTensors(string name, string header, int dataBytes) =>
        Write(name, Tensors(Encoding.UTF8.GetBytes(header), dataBytes));

    internal static byte[] Tensors(byte[] header, int dataBytes)
    {
        var file = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(file, header.Length);
        header.CopyTo(file, 8);
        for (int i = 0; i < dataBytes; i++)
            file[8 + header.Length + i] = (byte)i;

        return file;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
