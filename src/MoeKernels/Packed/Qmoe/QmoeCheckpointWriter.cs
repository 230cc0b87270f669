using System.Runtime.InteropServices;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>
/// Writes a folder as the authors of QMoE publish it, one sparse block at a time. Every file appears whole or not at
/// all, and <c>sizes.pt</c> comes last: a folder without it is not complete.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
internal sealed class QmoeCheckpointWriter
{
    private readonly string _folder;
    private readonly byte[] _config;
    private readonly QmoeShapes _shapes;
    private readonly TorchFileWriter _sizes = new();
    private int _layers;

    /// <summary>Starts a folder, which is made where it does not exist.</summary>
    /// <param name="folder">Path of the folder.</param>
    /// <param name="config">The model's <c>config.json</c>, written as it is.</param>
    /// <exception cref="MoeFormatException">The configuration lacks the sizes of the experts.</exception>
    /// <exception cref="MoeException">The folder cannot be made, or it is complete already.</exception>
    internal QmoeCheckpointWriter(string folder, byte[] config)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        _folder = folder;
        _config = config;
        _shapes = new QmoeShapes(ConfigReader.Parse(Path.Combine(folder, QmoeCheckpoint.ConfigFile), config));
        OnDisk(() => Directory.CreateDirectory(folder));
        if (File.Exists(Path.Combine(folder, QmoeCheckpoint.SizesFile)))
            throw new MoeException($"{folder}: holds a complete checkpoint already.");
    }

    /// <summary>Writes the next sparse block.</summary>
    /// <param name="matrices">Names and matrices in the order of the file.</param>
    /// <param name="serializationId">See <see cref="TorchFileWriter.Save"/>.</param>
    /// <exception cref="ArgumentException">A matrix has another shape than the configuration asks for, or its name
    /// was used.</exception>
    /// <exception cref="MoeException">The file cannot be written.</exception>
    internal void AddLayer(
        IEnumerable<KeyValuePair<string, QmoeMatrix>> matrices, string? serializationId = null)
    {
        var writer = new TorchFileWriter();
        foreach ((string name, QmoeMatrix matrix) in matrices)
        {
            (int rows, int columns) = _shapes.Of(name);
            if (matrix.Rows != rows || matrix.Columns != columns)
                throw new ArgumentException(
                    $"'{name}' is {matrix.Rows} x {matrix.Columns} instead of {rows} x {columns}.", nameof(matrices));

            _sizes.Add(name, matrix.Codes.Length);
            writer.Add(
                name + QmoeCheckpoint.Codes, ElementType.I16, [matrix.Codes.Length], () => Bytes(matrix.Codes));
            writer.Add(
                name + QmoeCheckpoint.RowOffsets, ElementType.I32, [rows + 1L], () => Bytes(matrix.RowOffsets));
            writer.Add(
                name + QmoeCheckpoint.Levels, ElementType.BF16, [2L * rows], () => Bytes(matrix.Levels));
            writer.Add(name + QmoeCheckpoint.Weight, ElementType.BF16, [0], () => default);
        }

        writer.Save(Path.Combine(_folder, QmoeCheckpoint.LayerFile(_layers)), serializationId);
        _layers++;
    }

    /// <summary>Writes everything but the experts, and completes the folder.</summary>
    /// <param name="dense">The tensors of <c>noexp.pt</c>.</param>
    /// <param name="denseId">See <see cref="TorchFileWriter.Save"/>.</param>
    /// <param name="sizesId">See <see cref="TorchFileWriter.Save"/>.</param>
    /// <exception cref="MoeException">A file cannot be written.</exception>
    internal void Finish(TorchFileWriter dense, string? denseId = null, string? sizesId = null)
    {
        OnDisk(() => File.WriteAllBytes(Path.Combine(_folder, QmoeCheckpoint.ConfigFile), _config));
        dense.Save(Path.Combine(_folder, QmoeCheckpoint.DenseFile), denseId);
        _sizes.Save(Path.Combine(_folder, QmoeCheckpoint.SizesFile), sizesId);
    }

    private static ReadOnlyMemory<byte> Bytes<T>(ReadOnlySpan<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes(values).ToArray();

    private void OnDisk(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new MoeException($"{_folder}: cannot be written: {e.Message}", e);
        }
    }
}
