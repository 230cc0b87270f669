using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>A linear layer on a device: its matrix in the stored format and its bias.</summary>
internal sealed unsafe class DeviceMatrix : IDisposable
{
    private readonly WeightsHandle _weights;
    private readonly DeviceArray? _bias;

    /// <summary>Copies a linear layer to a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="matrix">[outputs × inputs].</param>
    /// <param name="bias">[outputs] in host memory, or null.</param>
    /// <param name="what">What it is, for errors.</param>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceMatrix(CudaDevice device, in WeightMatrix matrix, float* bias, string what)
    {
        (Outputs, Inputs) = (matrix.Rows, matrix.Columns);
        try
        {
            _weights = Place(device, matrix, what);
        }
        catch (NativeException e)
        {
            throw device.Translate(e, $"placing {what}");
        }

        try
        {
            _bias = DeviceArray.Of(device, bias, matrix.Rows, what);
        }
        catch
        {
            _weights.Dispose();
            throw;
        }
    }

    /// <summary>Rows of the matrix.</summary>
    public int Outputs { get; }

    /// <summary>Columns of the matrix.</summary>
    public int Inputs { get; }

    private moek_weights* Pointer => (moek_weights*)_weights.DangerousGetHandle();

    /// <summary>Scratch bytes of a product.</summary>
    public long ScratchBytes(CudaDevice device, int rows)
    {
        ulong bytes;
        device.Check(Moek.moek_linear_workspace(&bytes, Pointer, rows), "asking for a workspace");
        return DeviceQueue.Rounded((long)bytes)
            + DeviceQueue.ActivationBytes(device, (long)rows * Inputs, (long)rows * Outputs);
    }

    /// <summary>Computes y [rows × outputs] from x [rows × inputs], both on the device, in its precision.</summary>
    public void Forward(DeviceQueue queue, float* x, int rows, float* y)
    {
        long mark = queue.Mark();
        void* input = queue.RoundIn(x, (long)rows * Inputs);
        void* output = queue.Target(y, (long)rows * Outputs);
        Forward(queue, input, queue.Device.ActivationType, rows, output);
        queue.RoundOut(y, output, (long)rows * Outputs);
        queue.Release(mark);
    }

    /// <summary>The same in fp32 from end to end, whatever the device's precision.</summary>
    public void ForwardSingle(DeviceQueue queue, float* x, int rows, float* y) =>
        Forward(queue, x, moek_dtype.MOEK_F32, rows, y);

    /// <inheritdoc/>
    public void Dispose()
    {
        _weights.Dispose();
        _bias?.Dispose();
    }

    private void Forward(DeviceQueue queue, void* x, moek_dtype type, int rows, void* y)
    {
        long mark = queue.Mark();
        ulong bytes;
        queue.Check(Moek.moek_linear_workspace(&bytes, Pointer, rows), "asking for a workspace");
        void* workspace = queue.TakeBytes((long)bytes);
        queue.Check(
            Moek.moek_linear(
                y, queue.Device.Pointer, Pointer, _bias is null ? null : _bias.Floats, x, (int)type, rows, workspace,
                bytes, queue.Stream),
            "a linear layer");
        queue.Release(mark);
    }

    private static WeightsHandle Place(CudaDevice device, in WeightMatrix matrix, string what)
    {
        moek_weights_desc desc;
        Moek.moek_weights_desc_init(&desc);
        (desc.matrices, desc.rows, desc.columns) = (1, matrix.Rows, matrix.Columns);
        if (matrix.Format == WeightFormat.Codebook)
        {
            using CodebookSource codebook = new([matrix], what);
            moek_codebook_desc inner = codebook.Desc;
            desc.dtype = (int)moek_dtype.MOEK_CODEBOOK;
            desc.data = &inner;
            return new WeightsHandle(device.Context, desc);
        }

        if (matrix.Format == WeightFormat.TernaryTiles)
        {
            using CodewordSource codewords = new([matrix], what);
            moek_qmoe_desc inner = codewords.Desc;
            desc.dtype = (int)moek_dtype.MOEK_QMOE;
            desc.data = &inner;
            return new WeightsHandle(device.Context, desc);
        }

        using DenseSource source = new([matrix], matrix.Rows, what);
        return new WeightsHandle(device.Context, source.Desc(1, matrix.Rows, matrix.Columns));
    }
}
