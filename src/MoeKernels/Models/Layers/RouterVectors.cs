using MoeKernels.Experts;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>The public layers' own copies of the router's matrix and vectors, in one buffer.</summary>
internal sealed unsafe class RouterVectors : IDisposable
{
    private readonly NativeBuffer _buffer;
    private readonly int _experts;
    private readonly int _inputs;
    private readonly int _gateInputs;
    private readonly float* _weight;
    private readonly float* _bias;
    private readonly float* _choiceBias;
    private readonly float* _expertScale;
    private readonly float* _sharedGate;

    /// <summary>Checks the lengths and copies.</summary>
    /// <exception cref="ArgumentException">A length does not fit, or a vector has a value that is not
    /// finite.</exception>
    public RouterVectors(
        RouterSpec router,
        int inputs,
        ReadOnlySpan<float> weight,
        ReadOnlySpan<float> bias,
        ReadOnlySpan<float> choiceBias,
        ReadOnlySpan<float> expertScale,
        int gateInputs,
        ReadOnlySpan<float> sharedGate)
    {
        int experts = router.Experts;
        (_experts, _inputs, _gateInputs) = (experts, inputs, gateInputs);
        Check(weight, (long)experts * inputs, "the router's weight");
        Check(bias, router.HasBias ? experts : 0, "the router's bias");
        Check(choiceBias, router.HasChoiceBias ? experts : 0, "the choice bias");
        Check(expertScale, router.HasExpertScale && !expertScale.IsEmpty ? experts : 0, "the expert scale");
        Check(sharedGate, gateInputs, "the shared expert's gate");
        long floats = (long)weight.Length + bias.Length + choiceBias.Length + expertScale.Length + sharedGate.Length;
        _buffer = NativeBuffer.Allocate(floats * sizeof(float), "a router");
        float* next = (float*)_buffer.Pointer;
        _weight = Copy(weight, ref next);
        _bias = Copy(bias, ref next);
        _choiceBias = Copy(choiceBias, ref next);
        _expertScale = Copy(expertScale, ref next);
        _sharedGate = Copy(sharedGate, ref next);
    }

    /// <summary>The layer's weights over these copies.</summary>
    public RoutedLayerWeights Weights(ExpertMatrices experts, ExpertMatrices? shared) =>
        new(Matrix(_weight, _experts, _inputs), experts, shared,
            _gateInputs == 0 ? default : Matrix(_sharedGate, 1, _gateInputs))
        {
            RouterBias = _bias,
            ChoiceBias = _choiceBias,
            ExpertScale = _expertScale,
        };

    /// <summary>Frees the copies.</summary>
    public void Dispose() => _buffer.Dispose();

    private static WeightMatrix Matrix(float* data, int rows, int columns) =>
        new(WeightFormat.F32, data, rows, columns, (nint)columns * sizeof(float));

    private static void Check(ReadOnlySpan<float> values, long expected, string what)
    {
        if (values.Length != expected)
            throw new ArgumentException($"Layer: {what} must have {expected} elements, not {values.Length}.");

        foreach (float value in values)
        {
            if (!float.IsFinite(value))
                throw new ArgumentException($"Layer: {what} holds {value}.");
        }
    }

    private static float* Copy(ReadOnlySpan<float> values, ref float* next)
    {
        if (values.IsEmpty)
            return null;

        float* copy = next;
        values.CopyTo(new Span<float>(copy, values.Length));
        next += values.Length;
        return copy;
    }
}
