using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;
using MoeKernels.Models.Loading;

namespace MoeKernels.Compression;

/// <summary>Measures how far a model's predictions move when one of its layers is exchanged, on windows that it keeps
/// at the depth of that layer.</summary>
internal sealed unsafe class DivergenceMeter : IDisposable
{
    /// <summary>Tokens whose logits are in memory at a time.</summary>
    private const int Piece = 32;

    private readonly SublayerSource _source;
    private readonly WorkerPool _pool;
    private readonly Part[] _parts;
    private readonly TokenRows _stream, _work, _inputs, _result, _final;
    private readonly EncodedWindows? _encoded, _otherEncoded;
    private readonly ModelMemory _headMemory;
    private readonly LinearWeights _head;
    private int _part, _layer;

    /// <param name="source">The dense model.</param>
    /// <param name="runners">Windows to measure on.</param>
    public DivergenceMeter(SublayerSource source, StackRunners runners)
    {
        (_source, _pool) = (source, runners.Pool);
        _stream = NewRows();
        _work = NewRows();
        _inputs = NewRows();
        _result = NewRows();
        _final = NewRows();
        _parts = [.. runners.Stacks.Select(stack => new Part(stack.Spec, stack.Runner, [.. stack.Spec.Blocks
            .SelectMany(block => block.Sublayers).Select(spec => source.Build(spec))]))];
        if (_parts.Length > 1)
        {
            int length = runners.Stacks[0].Runner.Windows.Length;
            (_encoded, _otherEncoded) = (new(NewRows(), length), new(NewRows(), length));
            Begin(_parts[0], _encoded.Output);
            Finish(_parts[0], 0, _encoded.Output, null);
        }

        (_head, _headMemory) = source.BuildHead();
        Begin(_parts[^1], _final);
        Finish(_parts[^1], 0, _final, _encoded);
        Begin(_parts[0], _stream);

        TokenRows NewRows() => new(runners.Rows, source.Description.Hidden);
    }

    /// <summary>Mean divergence of the predictions, in nats, when the layer that the windows have come to is
    /// another.</summary>
    public double Measure(Layer replacement)
    {
        Part part = _parts[_part];
        bool encodes = part != _parts[^1];
        TokenRows rows = encodes ? _otherEncoded!.Output : _work;
        rows.CopyFrom(_stream);
        Step(part, part.Layers[_layer], replacement, rows, _encoded);
        Finish(part, _layer + 1, rows, _encoded);
        if (encodes)
        {
            Begin(_parts[^1], _work);
            Finish(_parts[^1], 0, _work, _otherEncoded);
        }

        return Divergence();
    }

    /// <summary>Moves the windows on by one dense layer.</summary>
    public void Advance()
    {
        Part part = _parts[_part];
        BuiltSublayer layer = part.Layers[_layer++];
        Step(part, layer, layer.Layer, _stream, _encoded);
        if (_layer == part.Layers.Length && part != _parts[^1])
        {
            (_part, _layer) = (_part + 1, 0);
            Begin(_parts[_part], _stream);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _headMemory.Dispose();
        foreach (BuiltSublayer layer in _parts.SelectMany(part => part.Layers))
            layer.Dispose();
        foreach (TokenRows rows in (ReadOnlySpan<TokenRows>)[_stream, _work, _inputs, _result, _final])
            rows.Dispose();
        _encoded?.Output.Dispose();
        _otherEncoded?.Output.Dispose();
    }

    private void Begin(Part part, TokenRows stream) => _source.Embed(part.Spec, part.Runner, stream);

    /// <summary>Runs the layers from one on, and what follows the last.</summary>
    private void Finish(Part part, int first, TokenRows stream, EncodedWindows? encoded)
    {
        foreach (BuiltSublayer layer in part.Layers.AsSpan(first))
            Step(part, layer, layer.Layer, stream, encoded);
        _source.FinalNorm(part.Spec, part.Runner, stream);
        if (part == _parts[^1])
            Scale(stream);
    }

    private void Step(Part part, BuiltSublayer sublayer, Layer layer, TokenRows stream, EncodedWindows? encoded)
    {
        part.Runner.Normalize(sublayer.Norm, stream, _inputs);
        part.Runner.Run(layer, _inputs, _result, encoded);
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
            _head.Forward(_pool, _final.Row(row), count, dense);
            _head.Forward(_pool, _work.Row(row), count, other);
            DivergenceWork rows = new(dense, other, work, vocabulary, divergences);
            _pool.Run(ref rows, count);
            for (int i = 0; i < count; i++)
                sum += divergences[i];
        }

        return sum / _final.Rows;
    }

    /// <summary>A stack, its windows and its dense layers.</summary>
    private sealed record Part(StackSpec Spec, WindowRunner Runner, BuiltSublayer[] Layers);
}
