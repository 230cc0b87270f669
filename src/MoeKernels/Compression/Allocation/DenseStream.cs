using MoeKernels.Models.Layers;

namespace MoeKernels.Compression;

/// <summary>The residual stream of the dense model and a layer's inputs.</summary>
internal sealed unsafe class DenseStream(int rows, int hidden) : IDisposable
{
    private readonly TokenRows _result = new(rows, hidden);

    /// <summary>The stream.</summary>
    public TokenRows Residual { get; } = new(rows, hidden);

    /// <summary>Normalised.</summary>
    public TokenRows Inputs { get; } = new(rows, hidden);

    /// <summary>Adds a layer's output.</summary>
    public void Advance(WindowRunner runner, Layer layer, EncodedWindows? encoded)
    {
        runner.Run(layer, Inputs, _result, encoded);
        for (int row = 0; row < rows; row++)
            Cpu.Vec.Add(Residual.Row(row), _result.Row(row), Residual.Row(row), hidden);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Residual.Dispose();
        Inputs.Dispose();
        _result.Dispose();
    }
}
