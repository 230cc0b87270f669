using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>One stream of work on a device and the scratch memory it uses: what a forward call needs there. Not
/// thread-safe; every session has its own.</summary>
/// <remarks>Scratch memory is a stack, as in the CPU's workspace. Work of one queue runs in order, so an array may be
/// given back while kernels still read it: the next one to take its place comes after them.</remarks>
internal sealed unsafe class DeviceQueue : IDisposable
{
    private const long Alignment = 256;

    private readonly StreamHandle _stream;
    private DeviceMemory? _memory;
    private byte* _base;
    private long _capacity;
    private long _used;

    /// <summary>Makes an empty queue.</summary>
    /// <exception cref="MoeDeviceException">The device failed.</exception>
    public DeviceQueue(CudaDevice device)
    {
        Device = device;
        try
        {
            _stream = new StreamHandle(device.Context);
        }
        catch (NativeException e)
        {
            throw device.Translate(e, "making a stream");
        }
    }

    /// <summary>The device it works on.</summary>
    public CudaDevice Device { get; }

    /// <summary>Bytes of scratch memory.</summary>
    public long Capacity => _capacity;

    internal void* Stream => (void*)_stream.DangerousGetHandle();

    /// <summary>Bytes that an array of this size takes.</summary>
    public static long Rounded(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    /// <summary>Bytes that an array of floats takes.</summary>
    public static long RoundedFloats(long floats) => Rounded(floats * sizeof(float));

    /// <summary>Makes sure of <paramref name="bytes"/> of scratch memory. Nothing may be taken.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public void Reserve(long bytes)
    {
        if (_used != 0)
            throw new InvalidOperationException("Scratch memory is in use.");
        if (bytes <= _capacity)
            return;

        _memory?.Dispose();
        _memory = null;
        _capacity = 0;
        try
        {
            _memory = new DeviceMemory(Device.Context, (ulong)bytes);
        }
        catch (NativeMemoryException e)
        {
            throw new MoeOutOfMemoryException($"the workspace on {Device.Id}", bytes, e);
        }

        _base = (byte*)_memory.DangerousGetHandle();
        _capacity = bytes;
    }

    /// <summary>The current top, to be given to <see cref="Release"/>.</summary>
    public long Mark() => _used;

    /// <summary>Gives back everything taken since <paramref name="mark"/>.</summary>
    public void Release(long mark) => _used = mark;

    /// <summary>Takes scratch memory with undefined contents, 256-byte aligned.</summary>
    /// <exception cref="InvalidOperationException">A layer takes more than it declared.</exception>
    public void* TakeBytes(long bytes)
    {
        long rounded = Rounded(bytes);
        if (_used + rounded > _capacity)
        {
            throw new InvalidOperationException(
                $"Device workspace of {_capacity} bytes exceeded: {_used} used, {bytes} more asked for.");
        }

        byte* taken = _base + _used;
        _used += rounded;
        return taken;
    }

    /// <summary>Takes an array of floats.</summary>
    public float* Take(long floats) => (float*)TakeBytes(floats * sizeof(float));

    /// <summary>Copies host memory to the device; the source may be reused at once.</summary>
    public void CopyIn(void* target, void* source, long bytes) => Check(
        Moek.moek_copy_in(target, Device.Pointer, source, (ulong)bytes, Stream), "copying to the device");

    /// <summary>Copies device memory to the host; there after <see cref="Synchronize"/>.</summary>
    public void CopyOut(void* target, void* source, long bytes) => Check(
        Moek.moek_copy_out(target, Device.Pointer, source, (ulong)bytes, Stream), "copying from the device");

    /// <summary>Copies inside device memory.</summary>
    public void Copy(void* target, void* source, long bytes) => Check(
        Moek.moek_copy(target, Device.Pointer, source, (ulong)bytes, Stream), "copying on the device");

    /// <summary>Scratch bytes of the rounded copies that a product of this size takes; 0 where it takes fp32.</summary>
    public static long ActivationBytes(CudaDevice device, long inputs, long outputs) =>
        device.RoundsActivations ? Rounded(inputs * sizeof(ushort)) + Rounded(outputs * sizeof(ushort)) : 0;

    /// <summary>The input of a product in the device's precision: x itself, or a rounded copy.</summary>
    public void* RoundIn(float* x, long count) => Device.RoundsActivations ? Convert(x, count) : x;

    /// <summary>Where a product writes: y itself, or a place that <see cref="RoundOut"/> copies to y.</summary>
    public void* Target(float* y, long count) =>
        Device.RoundsActivations ? TakeBytes(count * sizeof(ushort)) : y;

    /// <summary>Widens what a product wrote into y.</summary>
    public void RoundOut(float* y, void* written, long count)
    {
        if (Device.RoundsActivations)
        {
            Check(
                Moek.moek_convert(
                    y, Device.Pointer, written, (int)moek_dtype.MOEK_F32, (int)moek_dtype.MOEK_BF16, count, Stream),
                "widening activations");
        }
    }

    /// <summary>Sets bytes to 0.</summary>
    public void Clear(void* target, long bytes) =>
        Check(Moek.moek_fill(target, Device.Pointer, 0, (ulong)bytes, Stream), "clearing device memory");

    /// <summary>Copies an array to scratch memory.</summary>
    public T* Put<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        void* target = TakeBytes((long)values.Length * sizeof(T));
        fixed (T* source = values)
            CopyIn(target, source, (long)values.Length * sizeof(T));
        return (T*)target;
    }

    /// <summary>Waits for all work of the queue.</summary>
    /// <exception cref="MoeNonFiniteException">A router met NaN or infinity.</exception>
    /// <exception cref="MoeDeviceException">The device failed.</exception>
    public void Synchronize() =>
        Check(Moek.moek_stream_synchronize(Device.Pointer, Stream), "waiting for the device");

    private void* Convert(float* x, long count)
    {
        void* rounded = TakeBytes(count * sizeof(ushort));
        Check(
            Moek.moek_convert(
                rounded, Device.Pointer, x, (int)moek_dtype.MOEK_BF16, (int)moek_dtype.MOEK_F32, count, Stream),
            "rounding activations");
        return rounded;
    }

    /// <summary>Throws unless a native call succeeded.</summary>
    public void Check(moek_status status, string what) => Device.Check(status, what);

    /// <inheritdoc/>
    public void Dispose()
    {
        _memory?.Dispose();
        _stream.Dispose();
    }
}
