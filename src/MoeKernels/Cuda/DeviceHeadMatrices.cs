using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>A matrix for each head on a device: <c>y[r, h] = W[h] x[r, h]</c>.</summary>
/// <remarks>A product groups the rows of a head, so inputs and outputs are copied into that order and back; the copies
/// round and widen where the device's products take bf16.</remarks>
internal sealed unsafe class DeviceHeadMatrices : IDisposable
{
    private readonly WeightsHandle _weights;

    /// <summary>Copies matrices to a device, in their stored format where it has kernels.</summary>
    /// <param name="device">The device.</param>
    /// <param name="heads">One matrix a head, [outputs × inputs], all of one shape.</param>
    /// <param name="what">What they are, for errors.</param>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceHeadMatrices(CudaDevice device, ReadOnlySpan<WeightMatrix> heads, string what)
    {
        (Heads, Outputs, Inputs) = (heads.Length, heads[0].Rows, heads[0].Columns);
        using DenseSource source = new(heads, Outputs, what);
        try
        {
            _weights = new WeightsHandle(device.Context, source.Desc(Heads, Outputs, Inputs));
        }
        catch (NativeException e)
        {
            throw device.Translate(e, $"placing {what}");
        }
    }

    /// <summary>Number of heads.</summary>
    public int Heads { get; }

    /// <summary>Rows of a matrix.</summary>
    public int Outputs { get; }

    /// <summary>Columns of a matrix.</summary>
    public int Inputs { get; }

    private moek_weights* Pointer => (moek_weights*)_weights.DangerousGetHandle();

    /// <summary>Scratch bytes of a product.</summary>
    public long ScratchBytes(CudaDevice device, int rows)
    {
        long slots = (long)rows * Heads;
        return DeviceQueue.Rounded((Heads + 1L) * sizeof(int))
            + DeviceQueue.Rounded(slots * Inputs * device.ActivationSize)
            + DeviceQueue.Rounded(slots * Outputs * device.ActivationSize)
            + DeviceQueue.Rounded((long)WorkspaceBytes(device, slots));
    }

    /// <summary>Computes the outputs of all heads of all rows.</summary>
    /// <param name="queue">Where to queue the work.</param>
    /// <param name="x">[rows × heads × inputs].</param>
    /// <param name="rows">Number of rows, above 0.</param>
    /// <param name="y">Receives [rows × heads × outputs]; apart from <paramref name="x"/>.</param>
    public void Forward(DeviceQueue queue, in DeviceHeadRows x, int rows, in DeviceHeadRows y)
    {
        long mark = queue.Mark();
        long slots = (long)rows * Heads;
        moek_dtype type = queue.Device.ActivationType;
        int* offsets = PutOffsets(queue, rows);
        void* inputs = queue.TakeBytes(slots * Inputs * queue.Device.ActivationSize);
        void* outputs = queue.TakeBytes(slots * Outputs * queue.Device.ActivationSize);
        ulong bytes = WorkspaceBytes(queue.Device, slots);
        void* workspace = queue.TakeBytes((long)bytes);
        DeviceOps.CopyHeads(queue, x, new(inputs, Inputs, (long)rows * Inputs, type), rows, Heads, Inputs);
        queue.Check(
            Moek.moek_grouped_gemm(
                outputs, queue.Device.Pointer, Pointer, null, inputs, (int)type, offsets, slots, workspace, bytes,
                queue.Stream),
            "a product of heads");
        DeviceOps.CopyHeads(queue, new(outputs, Outputs, (long)rows * Outputs, type), y, rows, Heads, Outputs);
        queue.Release(mark);
    }

    /// <inheritdoc/>
    public void Dispose() => _weights.Dispose();

    /// <summary>First slot of each head.</summary>
    private int* PutOffsets(DeviceQueue queue, int rows)
    {
        Span<int> offsets = stackalloc int[Heads + 1];
        for (int head = 0; head <= Heads; head++)
            offsets[head] = checked(head * rows);
        return queue.Put<int>(offsets);
    }

    private ulong WorkspaceBytes(CudaDevice device, long slots)
    {
        ulong bytes;
        device.Check(Moek.moek_linear_workspace(&bytes, Pointer, slots), "asking for a workspace");
        return bytes;
    }
}
