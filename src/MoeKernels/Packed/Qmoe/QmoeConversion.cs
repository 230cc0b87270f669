using System.Runtime.InteropServices;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>The authors' torch files to safetensors and back; no codeword is touched.</summary>
/// <remarks>One layer at a time; nothing of a layer stays in memory. Callers see to it that the target appears whole
/// or not at all.</remarks>
internal static class QmoeConversion
{
    private const string DenseFile = "dense.safetensors";

    /// <summary>Writes safetensors files and the manifest into an empty folder.</summary>
    /// <exception cref="MoeFormatException">The source is damaged.</exception>
    /// <exception cref="MoeUnsupportedException">The source uses what the restricted reader refuses.</exception>
    /// <exception cref="MoeException">A file cannot be written.</exception>
    public static void Import(string source, string target, Action<string> progress, CancellationToken cancellation)
    {
        using QmoeCheckpoint checkpoint = QmoeCheckpoint.Open(source);
        using TorchFile sizes = TorchFile.Open(Path.Combine(source, QmoeCheckpoint.SizesFile));
        var manifest = QmoeManifest.Of(checkpoint, sizes.SerializationId);
        for (int layer = 0; layer < checkpoint.Layers.Count; layer++)
        {
            progress(QmoeCheckpoint.LayerFile(layer));
            var writer = new SafetensorsWriter();
            foreach (string name in checkpoint.MatrixNames[layer])
            {
                cancellation.ThrowIfCancellationRequested();
                AddMatrix(writer, checkpoint, checkpoint.Layers[layer], name);
            }

            string file = Path.ChangeExtension(QmoeCheckpoint.LayerFile(layer), ".safetensors");
            writer.Save(Path.Combine(target, file), cancellation);
        }

        progress(QmoeCheckpoint.DenseFile);
        ImportDense(checkpoint.Dense, Path.Combine(target, DenseFile), cancellation);
        CopyOthers(source, target);
        manifest.Write(target);
    }

    /// <summary>Writes the authors' files into an empty folder.</summary>
    /// <exception cref="MoeFormatException">The source is damaged or holds no codewords.</exception>
    /// <exception cref="MoeUnsupportedException">A tensor has no form in torch's files.</exception>
    /// <exception cref="MoeException">A file cannot be written.</exception>
    public static void Export(string source, string target, Action<string> progress, CancellationToken cancellation)
    {
        using Checkpoint checkpoint = Checkpoint.Open(source);
        QmoeManifest manifest = QmoeManifest.Read(source) ?? QmoeManifest.Default(checkpoint);
        CheckComplete(checkpoint, manifest);
        string configPath = Path.Combine(source, QmoeCheckpoint.ConfigFile);
        ConfigReader config = ConfigReader.Open(configPath);
        var shapes = new QmoeShapes(config);
        var writer = new QmoeCheckpointWriter(target, File.ReadAllBytes(configPath));
        foreach (QmoeFileEntry layer in manifest.Layers)
        {
            progress(layer.Name);
            writer.AddLayer(layer.Items.Select(name => Read(checkpoint, shapes, name, cancellation)), layer.Id);
        }

        progress(QmoeCheckpoint.DenseFile);
        var dense = new TorchFileWriter();
        foreach (string name in manifest.Dense.Items)
        {
            Tensor tensor = checkpoint.Get(name);
            dense.Add(name, tensor.ElementType, [.. tensor.Shape], () => Bytes(tensor, cancellation));
        }

        CopyOthers(source, target);
        writer.Finish(dense, manifest.Dense.Id, manifest.SizesId);
    }

    private static void AddMatrix(SafetensorsWriter writer, QmoeCheckpoint source, TorchFile file, string name)
    {
        // Checked whole here; its parts are read again while they are written.
        QmoeMatrix matrix = source.Read(name);
        Add(QmoeTensors.Codes, QmoeCheckpoint.Codes, ElementType.U16, matrix.Codes.Length);
        Add(QmoeTensors.RowOffsets, QmoeCheckpoint.RowOffsets, ElementType.I32, matrix.Rows + 1);
        Add(QmoeTensors.Levels, QmoeCheckpoint.Levels, ElementType.BF16, matrix.Rows, 2);

        void Add(string suffix, string original, ElementType type, params ReadOnlySpan<long> shape) => writer.Add(
            name + suffix, type, shape, stream => stream.Write(file.ReadBytes(name + original).Span));
    }

    private static void ImportDense(TorchFile dense, string path, CancellationToken cancellation)
    {
        var writer = new SafetensorsWriter();
        foreach ((string name, TorchTensor tensor) in dense.Tensors)
            writer.Add(name, tensor.Type, tensor.Shape, stream => stream.Write(dense.ReadBytes(name).Span));
        writer.Save(path, cancellation);
    }

    /// <summary>Tokenizers and the like; weights and manifests are left out.</summary>
    private static void CopyOthers(string source, string target)
    {
        try
        {
            foreach (string path in Directory.GetFiles(source))
            {
                string name = Path.GetFileName(path);
                bool isWeights = name.EndsWith(".pt", StringComparison.Ordinal)
                    || name.EndsWith(".safetensors", StringComparison.Ordinal);
                if (!isWeights && name != QmoeManifest.FileName && !File.Exists(Path.Combine(target, name)))
                    File.Copy(path, Path.Combine(target, name));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new MoeException($"{target}: cannot be written: {e.Message}", e);
        }
    }

    private static void CheckComplete(Checkpoint checkpoint, QmoeManifest manifest)
    {
        string[] listed = [.. manifest.Layers.SelectMany(layer => layer.Items)];
        string path = Path.Combine(checkpoint.Folder, QmoeManifest.FileName);
        if (listed.Length == 0)
            throw new MoeFormatException(checkpoint.Folder, null, "the folder holds no matrices in QMoE's codewords");
        if (QmoeTensors.Names(checkpoint).Except(listed, StringComparer.Ordinal).FirstOrDefault() is { } extra)
            throw new MoeFormatException(path, Shown.Short(extra), "the matrix is in the folder, but not listed");
        int plain = checkpoint.Names.Count(name => !name.Contains(".qmoe.", StringComparison.Ordinal));
        if (plain != manifest.Dense.Items.Distinct(StringComparer.Ordinal).Count())
            throw new MoeFormatException(path, "dense", $"lists other tensors than the {plain} of the folder");
    }

    private static KeyValuePair<string, QmoeMatrix> Read(
        Checkpoint checkpoint, QmoeShapes shapes, string name, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        (int rows, int columns) = shapes.Of(name);
        return new(name, QmoeTensors.Read(checkpoint, name, rows, columns));
    }

    private static ReadOnlyMemory<byte> Bytes(Tensor tensor, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (tensor.ByteLength > Array.MaxLength)
            throw new MoeUnsupportedException($"a tensor of {tensor.ByteLength} bytes", tensor.FilePath);
        var bytes = new byte[tensor.ByteLength];
        tensor.Read(0, bytes);
        return bytes;
    }
}
