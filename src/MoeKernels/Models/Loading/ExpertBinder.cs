using MoeKernels.Experts;
using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Loading;

/// <summary>Binds routed experts from any layout: one tensor per expert and matrix (A), fused with inputs before
/// outputs (B, released by Llama-4 and GPT-OSS), fused with outputs before inputs (C, saved by transformers 5), or
/// MXFP4 blocks, stacks of codebook or integer matrices, or QMoE's codewords.</summary>
/// <remarks>A and C are views. B is transposed once into owned memory, in its stored width; codewords become
/// tiles.</remarks>
internal sealed unsafe class ExpertBinder
{
    private readonly WeightBinder _binder;
    private readonly ExpertsSpec _spec;
    private readonly Activation _activation;
    private readonly int _experts;
    private readonly TensorName _gateUp;
    private readonly TensorName _down;

    private ExpertBinder(WeightBinder binder, ExpertsSpec spec, in Activation activation, int experts)
    {
        (_binder, _spec, _activation, _experts) = (binder, spec, activation, experts);
        (_gateUp, _down) = (spec.FusedGateUp, spec.FusedDown);
    }

    /// <summary>Binds the experts of one layer.</summary>
    /// <exception cref="MoeFormatException">A tensor is missing, has another shape or type, or could be read both
    /// ways.</exception>
    public static ExpertMatrices Bind(WeightBinder binder, ExpertsSpec spec, in Activation activation, int experts)
    {
        var layer = new ExpertBinder(binder, spec, activation, experts);
        bool stacked = binder.HasStack(spec.Stack(spec.Up));
        return activation.Gated && !stacked && binder.Has(layer._gateUp) ? layer.Fused() : layer.PerExpert();
    }

    private ExpertMatrices PerExpert() => new(
        _experts,
        _activation,
        _activation.Gated ? PerExpert(_spec.Gate!, _spec.Intermediate, _spec.Hidden) : null,
        PerExpert(_spec.Up, _spec.Intermediate, _spec.Hidden),
        PerExpert(_spec.Down, _spec.Hidden, _spec.Intermediate),
        _activation.Gated ? Bias(_spec.Gate!, _spec.Intermediate, 0) : null,
        Bias(_spec.Up, _spec.Intermediate, 1),
        Bias(_spec.Down, _spec.Hidden, null));

    private WeightMatrix* PerExpert(string name, int rows, int columns)
    {
        TensorName[] names = [.. Enumerable.Range(0, _experts).Select(e => _spec.Expert(e, name).With(".weight"))];
        TensorName fused = name == _spec.Down ? _down : _gateUp;
        if (_binder.StackOrNull(_spec.Stack(name), _experts, rows, columns, names.Append(fused)) is { } stack)
            return _binder.Memory.Keep<WeightMatrix>(stack, name);

        WeightMatrix[] views = _binder.Ternary.Has(names[0])
            ? _binder.Ternary.Convert(names, rows, columns)
            : Array.ConvertAll(names, weight => _binder.Matrix(weight, rows, columns));
        return _binder.Memory.Keep<WeightMatrix>(views, name);
    }

    /// <summary>Biases of one kind: those of a fused tensor, of which gate and up are a
    /// <paramref name="half"/> each, or one vector per expert.</summary>
    private float** Bias(string name, int length, int? half)
    {
        TensorName fused = half is null ? _down : _gateUp;
        if (_spec.Bias == BiasRule.None || !_binder.Has(fused.With("_bias")))
            return PerExpertBias(name, length);

        float[]? values = FusedBias(fused, half is null ? length : 2 * length);
        return Rows(half is { } part ? Half(values, part) : Kept(values), length);
    }

    private float** PerExpertBias(string name, int length)
    {
        TensorName first = _spec.Expert(0, name).With(".bias");
        if (_spec.Bias == BiasRule.None || (_spec.Bias == BiasRule.WhenPresent && !_binder.Has(first)))
            return null;

        var biases = (float**)_binder.Memory.Allocate<nint>(_experts, name);
        for (int e = 0; e < _experts; e++)
            biases[e] = _binder.Vector(_spec.Expert(e, name).With(".bias"), length);

        return biases;
    }

    private ExpertMatrices Fused()
    {
        int both = 2 * _spec.Intermediate;
        bool transposed = FusedOrientation.IsTransposed(_binder, _spec, _gateUp, _down);
        WeightMatrix[] gateUp = FusedMatrices(_gateUp, both, _spec.Hidden, transposed);
        WeightMatrix[] down = FusedMatrices(_down, _spec.Hidden, _spec.Intermediate, transposed);
        bool interleaved = _spec.FusedOrder == GateUpOrder.Interleaved;
        WeightMatrix[] gate = Array.ConvertAll(
            gateUp, w => interleaved ? w.EverySecondRow(0) : w.Slice(0, _spec.Intermediate));
        WeightMatrix[] up = Array.ConvertAll(
            gateUp, w => interleaved ? w.EverySecondRow(1) : w.Slice(_spec.Intermediate, _spec.Intermediate));
        float[]? gateUpBias = FusedBias(_gateUp, both);
        return new ExpertMatrices(
            _experts,
            _activation,
            _binder.Memory.Keep<WeightMatrix>(gate, "experts"),
            _binder.Memory.Keep<WeightMatrix>(up, "experts"),
            _binder.Memory.Keep<WeightMatrix>(down, "experts"),
            Rows(Half(gateUpBias, 0), _spec.Intermediate),
            Rows(Half(gateUpBias, 1), _spec.Intermediate),
            Rows(Kept(FusedBias(_down, _spec.Hidden)), _spec.Hidden));
    }

    private WeightMatrix[] FusedMatrices(TensorName name, int outputs, int inputs, bool transposed) => transposed
        ? WeightTransposer.Transpose(
            _binder.Matrices(name, _experts, inputs, outputs, copied: true), _binder.Memory, name.First)
        : _binder.Matrices(name, _experts, outputs, inputs);

    /// <summary>[E × length], or null.</summary>
    private float[]? FusedBias(TensorName weight, int length)
    {
        TensorName name = weight.With("_bias");
        return _spec.Bias == BiasRule.None || (_spec.Bias == BiasRule.WhenPresent && !_binder.Has(name))
            ? null
            : _binder.Singles(name, _experts, length);
    }

    private float* Kept(float[]? values) =>
        values is null ? null : _binder.Memory.Keep<float>(values, "expert biases");

    /// <summary>The gate's (0) or up's (1) part of biases [E × 2 intermediate], as [E × intermediate].</summary>
    private float* Half(float[]? both, int half)
    {
        if (both is null)
            return null;

        int n = _spec.Intermediate;
        bool interleaved = _spec.FusedOrder == GateUpOrder.Interleaved;
        float* part = _binder.Memory.Allocate<float>((long)_experts * n, "expert biases");
        for (int e = 0; e < _experts; e++)
        {
            nint first = (nint)e * 2 * n;
            for (int i = 0; i < n; i++)
                part[((nint)e * n) + i] = both[first + (interleaved ? (2 * i) + half : (half * n) + i)];
        }

        return part;
    }

    /// <summary>Pointers to the rows of [E × length], or null.</summary>
    private float** Rows(float* values, int length)
    {
        if (values == null)
            return null;

        var rows = (float**)_binder.Memory.Allocate<nint>(_experts, "expert biases");
        for (int e = 0; e < _experts; e++)
            rows[e] = values + ((nint)e * length);

        return rows;
    }
}
