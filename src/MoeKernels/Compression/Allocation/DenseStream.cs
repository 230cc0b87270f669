using MoeKernels.Models.Layers;

namespace MoeKernels.Compression;

/// <summary>The residual stream of the dense model and a layer's inputs.</summary>
internal sealed class DenseStream(int rows, int hidden) : IDisposable
{
    private readonly TokenRows _result = new(rows, hidden);

    /// <summary>The stream.</summary>
    public TokenRows Residual { get; } = new(rows, hidden);

    /// <summary>Normalised.</summary>
    public TokenRows Inputs { get; } = new(rows, hidden);

    /// <summary>Adds a layer's output.</summary>
    /// <param name="runner">Windows.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="encoded">What cross-attention reads.</param>
    public void Advance(WindowRunner runner, Layer layer, EncodedWindows? encoded)
    {
        runner.Run(layer, Inputs, _result, encoded);
        Residual.Add(_result);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Residual.Dispose();
        Inputs.Dispose();
        _result.Dispose();
    }
}
