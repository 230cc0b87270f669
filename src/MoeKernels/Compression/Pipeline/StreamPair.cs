using MoeKernels.Models.Layers;

namespace MoeKernels.Compression;

/// <summary>The residual streams of the dense and of the compressed model at the same depth.</summary>
internal sealed class StreamPair : IDisposable
{
    private readonly TokenRows _result;

    /// <param name="rows">Tokens.</param>
    /// <param name="hidden">Floats of a token.</param>
    public StreamPair(int rows, int hidden)
    {
        Dense = new TokenRows(rows, hidden);
        Coded = new TokenRows(rows, hidden);
        DenseInputs = new TokenRows(rows, hidden);
        CodedInputs = new TokenRows(rows, hidden);
        _result = new TokenRows(rows, hidden);
    }

    /// <summary>Stream of the dense model.</summary>
    public TokenRows Dense { get; }

    /// <summary>Stream of the model that is compressed so far.</summary>
    public TokenRows Coded { get; }

    /// <summary>Normalised dense stream, once <see cref="Normalize"/> has run.</summary>
    public TokenRows DenseInputs { get; }

    /// <summary>Normalised compressed stream, likewise.</summary>
    public TokenRows CodedInputs { get; }

    /// <summary>Computes a layer's inputs in both streams.</summary>
    public void Normalize(WindowRunner runner, NormLayer norm)
    {
        runner.Normalize(norm, Dense, DenseInputs);
        runner.Normalize(norm, Coded, CodedInputs);
    }

    /// <summary>Runs a layer on the compressed stream for its products alone.</summary>
    public void Observe(WindowRunner runner, Layer layer, EncodedWindows? source) =>
        runner.Run(layer, CodedInputs, _result, source);

    /// <summary>Adds a layer's outputs to both streams.</summary>
    public void Advance(
        WindowRunner runner, Layer dense, Layer coded, EncodedWindows? denseSource, EncodedWindows? codedSource)
    {
        runner.Run(dense, DenseInputs, _result, denseSource);
        Dense.Add(_result);
        runner.Run(coded, CodedInputs, _result, codedSource);
        Coded.Add(_result);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TokenRows rows in (ReadOnlySpan<TokenRows>)[Dense, Coded, DenseInputs, CodedInputs, _result])
            rows.Dispose();
    }
}
