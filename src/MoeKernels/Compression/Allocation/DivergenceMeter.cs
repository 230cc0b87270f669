using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;
using MoeKernels.Models.Loading;

namespace MoeKernels.Compression;

/// <summary>Measures how far a decoder's predictions move when one of its layers is exchanged, on windows that it keeps
/// at the depth of that layer.</summary>
internal sealed unsafe class DivergenceMeter : IDisposable
{
    /// <summary>Tokens whose logits are in memory at a time.</summary>
    private const int Piece = 32;

    private readonly SublayerSource _source;
    private readonly WindowRunner _runner;
    private readonly BuiltSublayer[] _layers;
    private readonly TokenRows _stream, _work, _inputs, _result, _final;
    private readonly ModelMemory _headMemory;
    private readonly LinearWeights _head;

    /// <param name="source">The dense model.</param>
    /// <param name="runner">Windows to measure on.</param>
    public DivergenceMeter(SublayerSource source, WindowRunner runner)
    {
        (_source, _runner) = (source, runner);
        int hidden = source.Description.Hidden;
        _stream = new TokenRows(runner.Rows, hidden);
        _work = new TokenRows(runner.Rows, hidden);
        _inputs = new TokenRows(runner.Rows, hidden);
        _result = new TokenRows(runner.Rows, hidden);
        _final = new TokenRows(runner.Rows, hidden);
        StackSpec stack = source.Description.Decoder;
        _layers = [.. stack.Blocks.SelectMany(block => block.Sublayers).Select(spec => source.Build(spec))];
        source.Embed(stack, runner, _stream);
        _final.CopyFrom(_stream);
        foreach (BuiltSublayer layer in _layers)
            Step(layer, layer.Layer, _final);
        source.FinalNorm(stack, runner, _final);
        (_head, _headMemory) = source.BuildHead();
        Scale(_final);
    }

    /// <summary>The layer that the windows have come to.</summary>
    public int Position { get; private set; }

    /// <summary>Mean divergence of the predictions, in nats, when the layer at <see cref="Position"/> is
    /// another.</summary>
    public double Measure(Layer replacement)
    {
        _work.CopyFrom(_stream);
        Step(_layers[Position], replacement, _work);
        for (int i = Position + 1; i < _layers.Length; i++)
            Step(_layers[i], _layers[i].Layer, _work);
        _source.FinalNorm(_source.Description.Decoder, _runner, _work);
        Scale(_work);
        return Divergence();
    }

    /// <summary>Moves the windows on by one dense layer.</summary>
    public void Advance()
    {
        BuiltSublayer layer = _layers[Position++];
        Step(layer, layer.Layer, _stream);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _headMemory.Dispose();
        Array.ForEach(_layers, layer => layer.Dispose());
        foreach (TokenRows rows in (ReadOnlySpan<TokenRows>)[_stream, _work, _inputs, _result, _final])
            rows.Dispose();
    }

    private void Step(BuiltSublayer sublayer, Layer layer, TokenRows stream)
    {
        _runner.Normalize(sublayer.Norm, stream, _inputs);
        _runner.Run(layer, _inputs, _result, null);
        stream.Add(_result);
        _source.ReleasePages();
    }

    private void Scale(TokenRows hidden)
    {
        for (int row = 0; _source.Description.HeadInputScale != 1 && row < hidden.Rows; row++)
            Vec.Scale(hidden.Row(row), _source.Description.HeadInputScale, hidden.Row(row), hidden.Width);
    }

    private double Divergence()
    {
        int vocabulary = _source.Description.VocabularySize;
        using var logits = NativeBuffer.Allocate(3L * Piece * vocabulary * sizeof(float), "logits");
        float* dense = (float*)logits.Pointer;
        float* other = dense + ((nint)Piece * vocabulary);
        float* work = other + ((nint)Piece * vocabulary);
        double* divergences = stackalloc double[Piece];
        double sum = 0;
        for (int row = 0; row < _final.Rows; row += Piece)
        {
            int count = Math.Min(Piece, _final.Rows - row);
            _head.Forward(_runner.Pool, _final.Row(row), count, dense);
            _head.Forward(_runner.Pool, _work.Row(row), count, other);
            DivergenceWork rows = new(dense, other, work, vocabulary, divergences);
            _runner.Pool.Run(ref rows, count);
            for (int i = 0; i < count; i++)
                sum += divergences[i];
        }

        return sum / _final.Rows;
    }
}
