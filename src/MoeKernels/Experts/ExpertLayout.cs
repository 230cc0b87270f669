namespace MoeKernels.Experts;

/// <summary>Sizes of the matrices a caller hands over, and the arithmetic of cutting them into experts.</summary>
internal sealed unsafe class ExpertLayout
{
    private readonly int _hidden;
    private readonly int _intermediate;
    private readonly int _gateUpRows;

    private ExpertLayout(MoeLayerSpec spec, int experts, int intermediate)
    {
        (Experts, Activation, Order) = (experts, spec.Activation, spec.GateUpOrder);
        (_hidden, _intermediate) = (spec.Hidden, intermediate);
        _gateUpRows = spec.GateUpRows(intermediate);
    }

    public int Experts { get; }

    public Activation Activation { get; }

    public GateUpOrder Order { get; }

    /// <summary>The layout of a layer's routed experts.</summary>
    public static ExpertLayout Routed(MoeLayerSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        spec.Validate();
        return new ExpertLayout(spec, spec.Router.Experts, spec.Intermediate);
    }

    /// <summary>The layout of a layer's shared expert.</summary>
    public static ExpertLayout Shared(MoeLayerSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        spec.Validate();
        return spec.SharedIntermediate > 0
            ? new ExpertLayout(spec, 1, spec.SharedIntermediate)
            : throw new ArgumentException("The layer has no shared expert.", nameof(spec));
    }

    /// <summary>Compares element counts with the sizes.</summary>
    public void CheckLengths(long gateUp, long down)
    {
        Check(gateUp, (long)Experts * _gateUpRows * _hidden, $"[{Experts}, {_gateUpRows}, {_hidden}]", "gate and up");
        Check(down, (long)Experts * _hidden * _intermediate, $"[{Experts}, {_hidden}, {_intermediate}]", "down");
    }

    /// <summary>Compares bias counts with the sizes; none at all is allowed.</summary>
    public void CheckBiases(long gateUp, long down)
    {
        if (gateUp == 0 && down == 0)
            return;

        Check(gateUp, (long)Experts * _gateUpRows, $"[{Experts}, {_gateUpRows}]", "the gate and up biases");
        Check(down, (long)Experts * _hidden, $"[{Experts}, {_hidden}]", "the down biases");
    }

    /// <summary>Cuts contiguous tensors into one pair of matrices per expert.</summary>
    public (WeightMatrix GateUp, WeightMatrix Down)[] Split(WeightFormat format, void* gateUp, void* down)
    {
        long bytes = format switch
        {
            WeightFormat.F32 => sizeof(float),
            WeightFormat.F16 or WeightFormat.BF16 => sizeof(ushort),
            _ => throw new ArgumentException($"{format} needs scales: give one matrix per expert.", nameof(format)),
        };
        var pairs = new (WeightMatrix, WeightMatrix)[Experts];
        for (int e = 0; e < Experts; e++)
        {
            byte* first = (byte*)gateUp + (e * bytes * _gateUpRows * _hidden);
            byte* second = (byte*)down + (e * bytes * _hidden * _intermediate);
            pairs[e] = (new WeightMatrix(format, first, _gateUpRows, _hidden, (nint)(bytes * _hidden)),
                new WeightMatrix(format, second, _hidden, _intermediate, (nint)(bytes * _intermediate)));
        }

        return pairs;
    }

    /// <summary>Checks and pairs matrices given one by one.</summary>
    public (WeightMatrix GateUp, WeightMatrix Down)[] Pairs(
        ReadOnlySpan<WeightMatrix> gateUp, ReadOnlySpan<WeightMatrix> down)
    {
        Check(gateUp.Length, Experts, $"[{Experts}]", "the gate and up matrices");
        Check(down.Length, Experts, $"[{Experts}]", "the down matrices");
        var pairs = new (WeightMatrix, WeightMatrix)[Experts];
        for (int e = 0; e < Experts; e++)
        {
            CheckShape(gateUp[e], _gateUpRows, _hidden, "gate and up", e);
            CheckShape(down[e], _hidden, _intermediate, "down", e);
            pairs[e] = (gateUp[e], down[e]);
        }

        return pairs;
    }

    /// <summary>Copies the biases so that every expert has contiguous ones for gate, up and down, and sets
    /// them.</summary>
    public NativeBuffer CopyBiases(
        ExpertMatrices matrices, ReadOnlySpan<float> gateUpBias, ReadOnlySpan<float> downBias)
    {
        long floats = (long)gateUpBias.Length + downBias.Length;
        var buffer = NativeBuffer.Allocate(floats * sizeof(float), "expert biases");
        var next = (float*)buffer.Pointer;
        for (int e = 0; e < Experts; e++)
        {
            float* gate = next;
            float* up = next + (Activation.Gated ? _intermediate : 0);
            float* down = next + _gateUpRows;
            var source = gateUpBias.Slice(e * _gateUpRows, _gateUpRows);
            for (int i = 0; i < _gateUpRows; i++)
                next[Order == GateUpOrder.Interleaved && Activation.Gated ? Separated(i) : i] = source[i];

            downBias.Slice(e * _hidden, _hidden).CopyTo(new Span<float>(down, _hidden));
            matrices.SetBias(e, gate, up, down);
            next = down + _hidden;
        }

        return buffer;
    }

    /// <summary>Place of interleaved row i when all gate rows stand before all up rows.</summary>
    private int Separated(int i) => (i / 2) + ((i % 2) * _intermediate);

    private static void CheckShape(in WeightMatrix matrix, int rows, int columns, string what, int expert)
    {
        if (matrix.Rows != rows || matrix.Columns != columns)
        {
            throw new ArgumentException(
                $"Expert {expert}: {what} is [{matrix.Rows} x {matrix.Columns}] where [{rows} x {columns}] belongs.");
        }
    }

    private static void Check(long actual, long expected, string shape, string what)
    {
        if (actual != expected)
            throw new ArgumentException($"Experts: {what} must be {shape}, {expected} elements, not {actual}.");
    }
}
