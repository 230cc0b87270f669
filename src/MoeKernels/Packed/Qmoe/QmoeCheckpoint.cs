using System.Globalization;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>
/// A folder as the authors of QMoE publish it: <c>expNN.pt</c> with the codewords of one sparse block each,
/// <c>noexp.pt</c> with everything else in bf16, <c>sizes.pt</c> with the numbers of codewords, <c>config.json</c>.
/// </summary>
/// <remarks>Thread-safe. Matrices are read and checked one at a time, when they are asked for.</remarks>
internal sealed class QmoeCheckpoint : IDisposable
{
    internal const string ConfigFile = "config.json";
    internal const string DenseFile = "noexp.pt";
    internal const string SizesFile = "sizes.pt";

    /// <summary>Endings of a matrix's four tensors; the last is an empty placeholder.</summary>
    internal const string Codes = ".w_comp", RowOffsets = ".row_off", Levels = ".ter_minmax", Weight = ".weight";

    private readonly List<TorchFile> _layers = [];
    private readonly List<string[]> _names = [];
    private readonly Dictionary<string, TorchFile> _fileOf = new(StringComparer.Ordinal);
    private readonly QmoeShapes _shapes;

    private QmoeCheckpoint(string folder, TorchFile dense)
    {
        Dense = dense;
        _shapes = new QmoeShapes(ConfigReader.Open(Path.Combine(folder, ConfigFile)));
    }

    /// <summary>Everything but the experts.</summary>
    internal TorchFile Dense { get; }

    /// <summary>Files of the sparse blocks in walk order: encoder, then decoder.</summary>
    internal IReadOnlyList<TorchFile> Layers => _layers;

    /// <summary>Names of the matrices of each sparse block in the order of the file.</summary>
    internal IReadOnlyList<string[]> MatrixNames => _names;

    /// <summary>File name of a sparse block.</summary>
    internal static string LayerFile(int layer) => string.Create(CultureInfo.InvariantCulture, $"exp{layer:D2}.pt");

    /// <summary>Opens a folder and checks that its files name the same matrices.</summary>
    /// <exception cref="MoeFormatException">A file is missing, damaged, or contradicts another.</exception>
    /// <exception cref="MoeUnsupportedException">A file uses what the restricted reader refuses.</exception>
    internal static QmoeCheckpoint Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        TorchFile dense = TorchFile.Open(Path.Combine(folder, DenseFile));
        QmoeCheckpoint? checkpoint = null;
        try
        {
            checkpoint = new QmoeCheckpoint(folder, dense);
            string path = Path.Combine(folder, LayerFile(0));
            for (int layer = 1; File.Exists(path); layer++)
            {
                checkpoint.AddLayer(TorchFile.Open(path));
                path = Path.Combine(folder, LayerFile(layer));
            }

            checkpoint.CheckSizes(Path.Combine(folder, SizesFile));
            return checkpoint;
        }
        catch
        {
            dense.Dispose();
            checkpoint?.Dispose();
            throw;
        }
    }

    /// <summary>Reads a matrix and checks it.</summary>
    /// <param name="name">A name such as <c>encoder.block.1.layer.1.mlp.experts.expert_0.wi</c>.</param>
    /// <exception cref="MoeFormatException">There is no such matrix, or its parts contradict each other or the
    /// configuration.</exception>
    internal QmoeMatrix Read(string name)
    {
        if (!_fileOf.TryGetValue(name, out TorchFile? file))
            throw new MoeFormatException(
                Dense.Path, Shown.Short(name), $"no layer holds the matrix{Shown.NearNames(_fileOf.Keys, name)}");

        (int rows, int columns) = _shapes.Of(name);
        int[] offsets = file.Read<int>(name + RowOffsets, ElementType.I32);
        if (offsets.Length != rows + 1L)
            throw new MoeFormatException(
                file.Path, Shown.Short(name), $"{offsets.Length} row offsets do not fit {rows} rows ({ConfigFile})");

        return QmoeMatrix.Create(
            file.Path,
            name,
            file.Read<ushort>(name + Codes, ElementType.I16),
            offsets,
            file.Read<ushort>(name + Levels, ElementType.BF16),
            columns);
    }

    /// <summary>Closes the files.</summary>
    public void Dispose()
    {
        Dense.Dispose();
        _layers.ForEach(layer => layer.Dispose());
    }

    private void AddLayer(TorchFile file)
    {
        _layers.Add(file);
        string[] names = file.Items
            .Where(item => item.Key.EndsWith(Codes, StringComparison.Ordinal))
            .Select(item => item.Key[..^Codes.Length])
            .ToArray();
        foreach (string name in names)
        {
            string? missing = Array.Find(
                [RowOffsets, Levels, Weight], ending => !file.Tensors.ContainsKey(name + ending));
            if (missing is not null)
                throw new MoeFormatException(file.Path, Shown.Short(name), $"the matrix has no {missing}");
            if (!_fileOf.TryAdd(name, file))
                throw new MoeFormatException(file.Path, Shown.Short(name), $"is also in {_fileOf[name].Path}");
            if (!file.Tensors.TryGetValue(name + Codes, out TorchTensor? codes) || codes.Shape.Length != 1)
                throw new MoeFormatException(file.Path, Shown.Short(name), "the codewords are no list");
            if (file.Tensors[name + Weight].Count != 0)
                throw new MoeFormatException(file.Path, Shown.Short(name), "has weights beside the codewords");
        }

        if (file.Items.Count != 4 * names.Length)
            throw new MoeFormatException(file.Path, null, "the file holds more than the tensors of its matrices");

        _names.Add(names);
    }

    /// <summary>The sizes let the authors reserve memory before they read; here they show that no layer is
    /// missing.</summary>
    private void CheckSizes(string path)
    {
        using TorchFile sizes = TorchFile.Open(path);
        foreach ((string name, object value) in sizes.Items)
        {
            if (!_fileOf.TryGetValue(name, out TorchFile? file))
                throw new MoeFormatException(path, Shown.Short(name), "the matrix is listed, but no layer holds it");

            long codes = file.Tensors[name + Codes].Count;
            if (value is not long size || size != codes)
                throw new MoeFormatException(path, Shown.Short(name), $"the size is not that of {codes} codewords");
        }

        if (sizes.Items.Count != _fileOf.Count)
            throw new MoeFormatException(
                path, null, $"lists {sizes.Items.Count} matrices where the layers hold {_fileOf.Count}");
    }
}
