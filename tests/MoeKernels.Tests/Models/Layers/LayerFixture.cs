using MoeKernels.Experts;
using MoeKernels.Models.Layers;
using MoeKernels.Router;
using MoeKernels.Tests.Experts;
using MoeKernels.Tests.Router;

namespace MoeKernels.Tests.Models.Layers;

/// <summary>A layer with random weights, and the same layer in plain loops.</summary>
internal sealed unsafe class LayerFixture : IDisposable
{
    private readonly Random _random;
    private readonly float[] _routerWeight;
    private readonly float[]? _routerBias;
    private readonly float[]? _choiceBias;
    private readonly float[]? _expertScale;
    private readonly float[]? _sharedGate;

    public LayerFixture(MoeLayerSpec spec, bool biases = false, int seed = 1)
    {
        (Spec, _random) = (spec, new Random(seed));
        int experts = spec.Router.Experts;
        int rows = spec.GateUpRows(spec.Intermediate);
        _routerWeight = Values(experts * spec.Hidden);
        _routerBias = spec.Router.HasBias ? Values(experts) : null;
        _choiceBias = spec.Router.HasChoiceBias ? Values(experts) : null;
        _expertScale = spec.Router.HasExpertScale ? Values(experts) : null;
        _sharedGate = spec.HasSharedGate ? Values(spec.Hidden) : null;
        Experts = ExpertWeights.Create(
            spec, Values(experts * rows * spec.Hidden), Values(experts * spec.Hidden * spec.Intermediate),
            biases ? Values(experts * rows) : null, biases ? Values(experts * spec.Hidden) : null);
        if (spec.SharedIntermediate > 0)
        {
            Shared = ExpertWeights.CreateShared(
                spec, Values(spec.GateUpRows(spec.SharedIntermediate) * spec.Hidden),
                Values(spec.Hidden * spec.SharedIntermediate));
        }

        Layer = new MoeLayer(
            spec, Experts, _routerWeight, _routerBias, Shared, _sharedGate, _choiceBias, _expertScale);
    }

    public MoeLayerSpec Spec { get; }

    public ExpertWeights Experts { get; }

    public ExpertWeights? Shared { get; }

    public MoeLayer Layer { get; }

    public ReadOnlySpan<float> RouterWeight => _routerWeight;

    public float[] Input(int tokens) => Values(tokens * Spec.Hidden);

    public float[] Forward(float[] x, MoeWorkspace workspace)
    {
        float[] y = new float[x.Length];
        Array.Fill(y, float.NaN);
        Layer.Forward(x, y, x.Length / Spec.Hidden, workspace);
        return y;
    }

    /// <summary>Router, experts and sums in plain loops, the last in double precision.</summary>
    public double[] Reference(float[] x)
    {
        int tokens = x.Length / Spec.Hidden;
        var run = RouterRun.Select(Spec.Router, Logits(x, tokens), _choiceBias, _expertScale);
        var y = new double[x.Length];
        for (int t = 0; t < tokens; t++)
        {
            float[] token = x[(t * Spec.Hidden)..((t + 1) * Spec.Hidden)];
            var sum = y.AsSpan(t * Spec.Hidden, Spec.Hidden);
            for (int j = 0; j < Spec.Router.TopK; j++)
                AddChoice(sum, token, run.IdsOf(t)[j], run.WeightsOf(t)[j]);
            if (Shared is not null)
                Add(sum, ReferenceExpertsTests.Forward(Shared, 0, token), Gate(token));
        }

        return y;
    }

    public void Dispose()
    {
        Layer.Dispose();
        Experts.Dispose();
        Shared?.Dispose();
    }

    private float[] Logits(float[] x, int tokens)
    {
        var logits = new float[tokens * Spec.Router.Experts];
        fixed (float* weight = _routerWeight, bias = _routerBias, input = x, output = logits)
        {
            var matrix = new WeightMatrix(
                WeightFormat.F32, weight, Spec.Router.Experts, Spec.Hidden, Spec.Hidden * sizeof(float));
            LinearRouter.Logits(matrix, bias, input, tokens, output);
        }

        return logits;
    }

    private void AddChoice(Span<double> y, float[] token, int expert, float weight)
    {
        if (expert < 0)
        {
            if (Spec.Router.Capacity.Drop == DropRule.ScaledInput)
                Add(y, token, weight * Spec.Router.OutputFactor);
            return;
        }

        float[] input = Spec.Router.ApplyToInput ? Array.ConvertAll(token, value => value * weight) : token;
        float factor = Spec.Router.ApplyToInput ? 1f : weight * Spec.Router.OutputFactor;
        Add(y, ReferenceExpertsTests.Forward(Experts, expert, input), factor);
    }

    private double Gate(float[] token) => _sharedGate is null
        ? 1
        : 1 / (1 + Math.Exp(-token.Zip(_sharedGate, (value, gate) => (double)value * gate).Sum()));

    private static void Add(Span<double> y, float[] values, double factor)
    {
        for (int i = 0; i < y.Length; i++)
            y[i] += factor * values[i];
    }

    private float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => (_random.NextSingle() * 2) - 1)];
}
