using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>Runs a compressed model and its widened twin side by side; the twin's routers choose for both. Of an
/// encoder-decoder it is the encoder, whose outputs count as logits.</summary>
internal sealed unsafe class ForcedRouting : IDisposable
{
    private readonly SublayerSource _source;
    private readonly StackSpec _stack;
    private readonly WindowRunner _runner;
    private readonly TokenRows _dense, _coded, _inputs, _result;
    private readonly bool _isEncoder;

    public ForcedRouting(SublayerSource source, WorkerPool pool, int[] tokens)
    {
        _source = source;
        ModelDescription model = source.Description;
        _isEncoder = model.Encoder is not null;
        _stack = model.Encoder ?? model.Decoder;
        CalibrationWindows windows = new(tokens, tokens.Length);
        _runner = new WindowRunner(
            pool, windows, _isEncoder, rows => Transformer.ScratchFloats(model, rows, rows, pool.Threads), default);
        _dense = new TokenRows(tokens.Length, model.Hidden);
        _coded = new TokenRows(tokens.Length, model.Hidden);
        _inputs = new TokenRows(tokens.Length, model.Hidden);
        _result = new TokenRows(tokens.Length, model.Hidden);
    }

    /// <summary>Largest relative error of a layer's experts on the inputs of the widened twin.</summary>
    public double ExpertsError { get; private set; }

    /// <summary>Root of the difference's power over the expected values' power.</summary>
    public static double RelativeError(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        double error = 0, size = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            error += Math.Pow(expected[i] - actual[i], 2);
            size += Math.Pow(expected[i], 2);
        }

        return Math.Sqrt(error / size);
    }

    /// <summary>Logits of the widened and of the compressed model.</summary>
    public (float[] Dense, float[] Coded) Logits()
    {
        _source.Embed(_stack, _runner, _dense);
        _source.Embed(_stack, _runner, _coded);
        foreach (SublayerSpec spec in _stack.Blocks.SelectMany(block => block.Sublayers))
            Step(spec);
        return (Finish(_dense), Finish(_coded));
    }

    public void Dispose()
    {
        _runner.Dispose();
        foreach (TokenRows rows in (ReadOnlySpan<TokenRows>)[_dense, _coded, _inputs, _result])
            rows.Dispose();
    }

    private void Step(SublayerSpec spec)
    {
        using BuiltSublayer coded = _source.Build(spec);
        if (spec.Layer is not MoeSpec moe)
        {
            foreach (TokenRows stream in (ReadOnlySpan<TokenRows>)[_dense, _coded])
            {
                _runner.Normalize(coded.Norm, stream, _inputs);
                _runner.Run(coded.Layer, _inputs, _result, null);
                Add(stream);
            }

            return;
        }

        using WidenedExperts widened = new(((RoutedLayer)coded.Layer).Weights.Experts, moe);
        using BuiltSublayer dense = _source.Build(spec, widened.Views);
        int choices = _dense.Rows * moe.Router.TopK;
        int[] ids = new int[choices];
        float[] weights = new float[choices];
        _runner.Normalize(coded.Norm, _dense, _inputs);
        _runner.Route((RoutedLayer)dense.Layer, _inputs, ids, weights);
        Experts(moe, (RoutedLayer)coded.Layer, ids, weights);
        float[] same = Values(_result);
        Experts(moe, (RoutedLayer)dense.Layer, ids, weights);
        ExpertsError = Math.Max(ExpertsError, RelativeError(Values(_result), same));
        Add(_dense);
        _runner.Normalize(coded.Norm, _coded, _inputs);
        Experts(moe, (RoutedLayer)coded.Layer, ids, weights);
        Add(_coded);
    }

    private void Experts(MoeSpec moe, RoutedLayer layer, int[] ids, float[] weights)
    {
        int tokens = _inputs.Rows;
        using Workspace workspace = new(moe.ScratchFloats(tokens, tokens, _runner.Pool.Threads) + 4096);
        RoutedCall call = new() { Pool = _runner.Pool, Workspace = workspace, Tokens = tokens };

        // Routing gave the weights with the output factor; the layer multiplies it again.
        float[] own = Array.ConvertAll(weights, weight => weight / moe.Router.OutputFactor);
        fixed (int* chosen = ids)
        fixed (float* factors = own)
            layer.Forward(call, _inputs.Data, chosen, factors, _result.Data);
    }

    private static float[] Values(TokenRows rows) =>
        new ReadOnlySpan<float>(rows.Data, rows.Rows * rows.Width).ToArray();

    private void Add(TokenRows stream) =>
        Vec.Add(stream.Data, _result.Data, stream.Data, stream.Rows * stream.Width);

    private float[] Finish(TokenRows stream)
    {
        _source.FinalNorm(_stack, _runner, stream);
        if (_isEncoder)
            return Values(stream);
        (LinearWeights head, MoeKernels.Models.Loading.ModelMemory memory) = _source.BuildHead();
        using (memory)
        {
            float[] logits = new float[stream.Rows * _source.Description.VocabularySize];
            fixed (float* y = logits)
                head.Forward(_runner.Pool, stream.Data, stream.Rows, y);
            return logits;
        }
    }
}
