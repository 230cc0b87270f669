using MoeKernels.Formats;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Coded matrices of one file, until it is written.</summary>
internal sealed class LayerTensors : IDisposable
{
    private readonly SafetensorsWriter _writer = new();
    private readonly List<IDisposable> _owned = [];

    /// <summary>Adds a stack and takes it over.</summary>
    public void Add(string name, CodebookStack stack)
    {
        _owned.Add(stack);
        CodebookTensors.Add(_writer, name, stack);
    }

    /// <summary>Adds matrices of small integers.</summary>
    public void Add(string name, IntegerStack stack) => IntegerTensors.Add(_writer, name, stack);

    /// <summary>Adds a matrix in codewords.</summary>
    public void Add(string name, QmoeMatrix matrix) => QmoeTensors.Add(_writer, name, matrix);

    /// <summary>Writes the file; it appears whole or not at all.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="layer">What the report says about it.</param>
    /// <param name="cancellation">Stops between tensors.</param>
    public void Save(string path, LayerFile layer, CancellationToken cancellation)
    {
        layer.Describe(_writer.Metadata);
        _writer.Save(path, cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => _owned.ForEach(owned => owned.Dispose());
}
