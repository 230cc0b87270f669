using MoeKernels.Models.Layers;

namespace MoeKernels.Compression;

/// <summary>The residual stream of the dense model and a layer's inputs.</summary>
/// <param name="residual">The stream; stays the caller's.</param>
internal sealed class DenseStream(TokenRows residual) : IDisposable
{
    private readonly TokenRows _result = new(residual.Rows, residual.Width);

    /// <summary>The stream.</summary>
    public TokenRows Residual => residual;

    /// <summary>Normalised.</summary>
    public TokenRows Inputs { get; } = new(residual.Rows, residual.Width);

    /// <summary>Adds a layer's output.</summary>
    /// <param name="runner">Windows.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="encoded">What cross-attention reads; null where the stack has none.</param>
    public void Advance(WindowRunner runner, Layer layer, EncodedWindows? encoded)
    {
        runner.Run(layer, Inputs, _result, encoded);
        Residual.Add(_result);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Inputs.Dispose();
        _result.Dispose();
    }
}
