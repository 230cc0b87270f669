using MoeKernels.Experts;
using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>The routed or shared experts of a layer, or a dense feed-forward network, on a device.</summary>
internal sealed unsafe class DeviceExperts : IDisposable
{
    /// <summary>Copies experts to a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="experts">The matrices in host memory.</param>
    /// <param name="what">What they are, for errors.</param>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    /// <exception cref="MoeUnsupportedException">Packed matrices differ in their shapes.</exception>
    public DeviceExperts(CudaDevice device, ExpertMatrices experts, string what)
    {
        (Hidden, Intermediate) = (experts.Hidden, experts.Intermediate);
        moek_experts_desc desc;
        Moek.moek_experts_desc_init(&desc);
        desc.experts = experts.Experts;
        desc.hidden = Hidden;
        desc.intermediate = Intermediate;
        Activation activation = experts.Activation;
        desc.activation = (int)activation.Kind | (activation.Gated ? (int)moek_activation.MOEK_ACT_GATED : 0);
        (desc.alpha, desc.limit) = (activation.Alpha, activation.Limit);
        float[] gateUpBias = GateUpBias(experts);
        float[] downBias = Vectors(experts.DownBias, experts.Experts, Hidden);
        try
        {
            fixed (float* first = gateUpBias, second = downBias)
            {
                desc.gate_up_bias = first;
                desc.down_bias = second;
                Handle = Place(device, experts, desc, what);
            }
        }
        catch (NativeException e)
        {
            throw device.Translate(e, $"placing {what}");
        }
    }

    /// <summary>Inputs and outputs.</summary>
    public int Hidden { get; }

    /// <summary>Width inside.</summary>
    public int Intermediate { get; }

    internal ExpertsHandle Handle { get; }

    /// <inheritdoc/>
    public void Dispose() => Handle.Dispose();

    private static ExpertsHandle Place(
        CudaDevice device, ExpertMatrices experts, moek_experts_desc desc, string what)
    {
        ReadOnlySpan<WeightMatrix> up = new(experts.Up, experts.Experts);
        ReadOnlySpan<WeightMatrix> down = new(experts.Down, experts.Experts);
        ReadOnlySpan<WeightMatrix> gate = experts.Gate == null ? [] : new(experts.Gate, experts.Experts);
        return down[0].Format switch
        {
            WeightFormat.Codebook => PlaceCodebooks(device, desc, gate, up, down, what),
            WeightFormat.TernaryTiles => PlaceCodewords(device, desc, gate, up, down, what),
            _ => PlaceDense(device, desc, gate, up, down, what),
        };
    }

    private static ExpertsHandle PlaceCodebooks(
        CudaDevice device, moek_experts_desc desc, ReadOnlySpan<WeightMatrix> gate, ReadOnlySpan<WeightMatrix> up,
        ReadOnlySpan<WeightMatrix> down, string what)
    {
        using CodebookSource? first = gate.IsEmpty ? null : new CodebookSource(gate, what);
        using CodebookSource second = new(up, what);
        using CodebookSource third = new(down, what);
        moek_codebook_desc* gateUp = stackalloc moek_codebook_desc[2];
        int count = 0;
        if (first is not null)
            gateUp[count++] = first.Desc;
        gateUp[count] = second.Desc;
        moek_codebook_desc last = third.Desc;
        desc.dtype = (int)moek_dtype.MOEK_CODEBOOK;
        desc.gate_up = gateUp;
        desc.down = &last;
        return new ExpertsHandle(device.Context, desc);
    }

    private static ExpertsHandle PlaceCodewords(
        CudaDevice device, moek_experts_desc desc, ReadOnlySpan<WeightMatrix> gate, ReadOnlySpan<WeightMatrix> up,
        ReadOnlySpan<WeightMatrix> down, string what)
    {
        using CodewordSource? first = gate.IsEmpty ? null : new CodewordSource(gate, what);
        using CodewordSource second = new(up, what);
        using CodewordSource third = new(down, what);
        moek_qmoe_desc* gateUp = stackalloc moek_qmoe_desc[2];
        int count = 0;
        if (first is not null)
            gateUp[count++] = first.Desc;
        gateUp[count] = second.Desc;
        moek_qmoe_desc last = third.Desc;
        desc.dtype = (int)moek_dtype.MOEK_QMOE;
        desc.gate_up = gateUp;
        desc.down = &last;
        return new ExpertsHandle(device.Context, desc);
    }

    private static ExpertsHandle PlaceDense(
        CudaDevice device, moek_experts_desc desc, ReadOnlySpan<WeightMatrix> gate, ReadOnlySpan<WeightMatrix> up,
        ReadOnlySpan<WeightMatrix> down, string what)
    {
        bool gated = !gate.IsEmpty;
        var gateUp = new WeightMatrix[gated ? 2 * up.Length : up.Length];
        for (int e = 0; e < up.Length; e++)
        {
            if (gated)
                (gateUp[2 * e], gateUp[(2 * e) + 1]) = (gate[e], up[e]);
            else
                gateUp[e] = up[e];
        }

        int gateUpRows = gated ? 2 * up[0].Rows : up[0].Rows;
        DenseForm form = CommonForm(gateUp, gateUpRows, down);
        using DenseSource first = new(gateUp, gateUpRows, what, form);
        using DenseSource second = new(down, down[0].Rows, what, form);
        desc.dtype = (int)first.Type;
        (desc.scale_block_rows, desc.scale_block_columns) = (first.BlockRows, first.BlockColumns);
        desc.gate_up = first.Data;
        desc.gate_up_bytes = first.DataBytes;
        desc.gate_up_scale = first.Scales;
        desc.down = second.Data;
        desc.down_bytes = second.DataBytes;
        desc.down_scale = second.Scales;
        return new ExpertsHandle(device.Context, desc);
    }

    /// <summary>Gate, up and down have one type on a device: as they are stored where that is one, else fp32.</summary>
    private static DenseForm CommonForm(
        ReadOnlySpan<WeightMatrix> gateUp, int gateUpRows, ReadOnlySpan<WeightMatrix> down) =>
        DenseSource.TypeFor(gateUp, gateUpRows) == DenseSource.TypeFor(down, down[0].Rows)
            && gateUp[0].BlockRows == down[0].BlockRows && gateUp[0].BlockColumns == down[0].BlockColumns
            ? DenseForm.Stored
            : DenseForm.Single;

    /// <summary>[E, gate rows then up rows]; empty without biases.</summary>
    private static float[] GateUpBias(ExpertMatrices experts)
    {
        float[] up = Vectors(experts.UpBias, experts.Experts, experts.Intermediate);
        if (up.Length == 0 || experts.GateBias == null)
            return up;

        float[] gate = Vectors(experts.GateBias, experts.Experts, experts.Intermediate);
        float[] both = new float[2 * up.Length];
        int width = experts.Intermediate;
        for (int e = 0; e < experts.Experts; e++)
        {
            gate.AsSpan(e * width, width).CopyTo(both.AsSpan(2 * e * width));
            up.AsSpan(e * width, width).CopyTo(both.AsSpan(((2 * e) + 1) * width));
        }

        return both;
    }

    private static float[] Vectors(float** vectors, int count, int width)
    {
        if (vectors == null)
            return [];

        float[] joined = new float[count * width];
        for (int e = 0; e < count; e++)
            new ReadOnlySpan<float>(vectors[e], width).CopyTo(joined.AsSpan(e * width));
        return joined;
    }
}
