using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>Shows the authors' folder as a checkpoint of plain tensors, with the names that <see cref="QmoeTensors"/>
/// gives them: torch keeps records uncompressed, so that the files are mapped where they are.</summary>
internal static class QmoeFiles
{
    /// <summary>Whether a folder looks like one that QMoE's authors publish.</summary>
    public static bool Covers(string folder) =>
        File.Exists(Path.Combine(folder, QmoeCheckpoint.DenseFile))
        && File.Exists(Path.Combine(folder, QmoeCheckpoint.SizesFile));

    /// <summary>Maps a folder.</summary>
    /// <exception cref="MoeFormatException">A file is missing, damaged, or contradicts another.</exception>
    /// <exception cref="MoeUnsupportedException">A file uses what the restricted reader refuses.</exception>
    public static Checkpoint Map(string folder)
    {
        using QmoeCheckpoint source = QmoeCheckpoint.Open(folder);
        var files = new List<SafetensorsFile>();
        try
        {
            files.Add(Map(source.Dense, name => name));
            foreach (TorchFile layer in source.Layers)
                files.Add(Map(layer, NameOf));
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }

        return Checkpoint.Of(folder, files);
    }

    /// <summary>Reads every record, so that every checksum counts; mapped weights are not checked later.</summary>
    /// <exception cref="MoeFormatException">A record is damaged.</exception>
    public static void Verify(string folder, CancellationToken cancellation)
    {
        using QmoeCheckpoint source = QmoeCheckpoint.Open(folder);
        foreach (TorchFile file in source.Layers.Prepend(source.Dense))
        {
            foreach (string name in file.Tensors.Keys)
            {
                cancellation.ThrowIfCancellationRequested();
                file.ReadBytes(name);
            }
        }
    }

    private static SafetensorsFile Map(TorchFile file, Func<string, string?> rename)
    {
        var tensors = new Dictionary<string, TensorInfo>(StringComparer.Ordinal);
        foreach ((string original, TorchTensor tensor) in file.Tensors)
        {
            if (rename(original) is not { } name)
                continue;
            bool isCodes = name.EndsWith(QmoeTensors.Codes, StringComparison.Ordinal);
            bool isLevels = name.EndsWith(QmoeTensors.Levels, StringComparison.Ordinal);
            ElementType type = isCodes && tensor.Type == ElementType.I16 ? ElementType.U16 : tensor.Type;
            long[] shape = isLevels && tensor.Count % 2 == 0 ? [tensor.Count / 2, 2] : tensor.Shape;
            long bytes = tensor.Count * type.Bits() / 8;
            tensors[name] = new TensorInfo(name, type, shape, file.DataOffset(original), bytes);
        }

        return SafetensorsFile.OpenForeign(file.Path, tensors);
    }

    /// <summary>A tensor's name in a checkpoint; null for the empty placeholder.</summary>
    private static string? NameOf(string name)
    {
        (string Ending, string Name)[] endings =
        [
            (QmoeCheckpoint.Codes, QmoeTensors.Codes), (QmoeCheckpoint.RowOffsets, QmoeTensors.RowOffsets),
            (QmoeCheckpoint.Levels, QmoeTensors.Levels),
        ];
        return endings.Where(pair => name.EndsWith(pair.Ending, StringComparison.Ordinal))
            .Select(pair => name[..^pair.Ending.Length] + pair.Name)
            .FirstOrDefault();
    }
}
