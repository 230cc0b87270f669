using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>Device memory that lives as long as its owner: vectors of a layer, a cache of keys and values.</summary>
internal sealed unsafe class DeviceArray : IDisposable
{
    private readonly DeviceMemory _memory;

    /// <summary>Allocates memory with undefined contents.</summary>
    /// <param name="device">The device.</param>
    /// <param name="bytes">Size.</param>
    /// <param name="what">What it is for, in the words of the error message.</param>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public DeviceArray(CudaDevice device, long bytes, string what)
    {
        Bytes = bytes;
        try
        {
            _memory = new DeviceMemory(device.Context, (ulong)bytes);
        }
        catch (NativeMemoryException e)
        {
            throw new MoeOutOfMemoryException($"{what} on {device.Id}", bytes, e);
        }
        catch (NativeException e)
        {
            throw device.Translate(e, what);
        }
    }

    /// <summary>Size.</summary>
    public long Bytes { get; }

    /// <summary>The memory as floats.</summary>
    public float* Floats => (float*)_memory.DangerousGetHandle();

    /// <summary>Copies a host vector of floats to the device; null stays null.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    public static DeviceArray? Of(CudaDevice device, float* values, long count, string what)
    {
        if (values == null)
            return null;

        DeviceArray array = new(device, count * sizeof(float), what);
        try
        {
            device.Check(
                Moek.moek_copy_in(array.Floats, device.Pointer, values, (ulong)array.Bytes, null), "copying " + what);
            device.Check(Moek.moek_stream_synchronize(device.Pointer, null), "copying " + what);
            return array;
        }
        catch
        {
            array.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();
}
