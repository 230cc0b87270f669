using System.Buffers;
using System.Text.Json;
using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary>Writes what was not coded, the index and the files beside the weights.</summary>
internal static class RestWriter
{
    /// <summary>Name of the file with the weights that were not coded.</summary>
    public const string FileName = "rest.safetensors";

    private const string IndexName = "model.safetensors.index.json";

    /// <summary>Files of a model folder that are no weights.</summary>
    private static readonly string[] Companions = [".json", ".jinja", ".txt", ".model"];

    /// <summary>Copies the tensors that no coded stack replaces.</summary>
    /// <param name="source">The dense weights.</param>
    /// <param name="path">File to write.</param>
    /// <param name="replaced">Names of tensors that are left out.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    public static void Save(
        Checkpoint source, string path, IReadOnlySet<string> replaced, CancellationToken cancellation)
    {
        var writer = new SafetensorsWriter();
        writer.Metadata["format"] = "pt";
        foreach (string name in source.Names.Where(name => !replaced.Contains(name)))
        {
            Tensor tensor = source.Get(name);
            writer.Add(name, tensor.ElementType, [.. tensor.Shape], stream => Copy(tensor, stream));
        }

        writer.Save(path, cancellation);
    }

    /// <summary>Writes the index over all weight files of a folder.</summary>
    public static void SaveIndex(string folder)
    {
        var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
        long bytes = 0;
        foreach (string path in Directory.GetFiles(folder, "*.safetensors").Order(StringComparer.Ordinal))
        {
            using SafetensorsFile file = SafetensorsFile.Open(path);
            foreach (TensorInfo tensor in file.Tensors.Values)
            {
                map[tensor.Name] = Path.GetFileName(path);
                bytes += tensor.ByteLength;
            }
        }

        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata");
            json.WriteNumber("total_size", bytes);
            json.WriteEndObject();
            json.WriteStartObject("weight_map");
            foreach ((string name, string file) in map)
                json.WriteString(name, file);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        AtomicFile.Write(Path.Combine(folder, IndexName), buffer.WrittenSpan);
    }

    /// <summary>Copies configuration, tokenizer and template.</summary>
    public static void CopyCompanions(string source, string folder)
    {
        foreach (string path in Directory.GetFiles(source))
        {
            string name = Path.GetFileName(path);
            if (name != IndexName && name != Manifest.FileName && !PartialFolder.IsReserved(name)
                && Companions.Contains(Path.GetExtension(name), StringComparer.Ordinal))
            {
                AtomicFile.Write(Path.Combine(folder, name), File.ReadAllBytes(path));
            }
        }
    }

    private static void Copy(Tensor tensor, Stream stream)
    {
        byte[] piece = ArrayPool<byte>.Shared.Rent(1 << 20);
        for (long done = 0; done < tensor.ByteLength;)
        {
            int count = (int)Math.Min(piece.Length, tensor.ByteLength - done);
            tensor.Read(done, piece.AsSpan(0, count));
            stream.Write(piece, 0, count);
            done += count;
        }

        ArrayPool<byte>.Shared.Return(piece);
    }
}
