using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>Which device a caller gets, and why not the one that was asked for.</summary>
/// <param name="Device">Null for the CPU.</param>
/// <param name="FallbackReason">Why the CPU runs although a device was asked for, or was to be expected.</param>
internal sealed record DeviceSelection(CudaDevice? Device, string? FallbackReason)
{
    /// <summary>Opens what a caller asked for.</summary>
    /// <param name="wanted">The wish.</param>
    /// <param name="required">Fail rather than run on the CPU.</param>
    /// <param name="rounds">See <see cref="CudaDevice.RoundsActivations"/>.</param>
    /// <exception cref="MoeDeviceException">The device is required and cannot be used; the message says
    /// why.</exception>
    public static DeviceSelection Open(Device wanted, bool required, bool rounds)
    {
        if (wanted.Kind == DeviceKind.Cpu)
            return new DeviceSelection(null, null);
        if (wanted.Kind == DeviceKind.Auto)
            return OpenAny(required, rounds);
        try
        {
            return new DeviceSelection(CudaDevice.Open(wanted.Index, rounds), null);
        }
        catch (MoeDeviceException e) when (!required)
        {
            return new DeviceSelection(null, e.Message);
        }
    }

    /// <summary>The first real device. Without a native library nobody expects one, so that is no reason to
    /// give.</summary>
    private static DeviceSelection OpenAny(bool required, bool rounds)
    {
        if (!required && !NativeRuntime.TryLoad(out _))
            return new DeviceSelection(null, null);
        try
        {
            CudaDevice device = CudaDevice.Open(0, rounds);
            if (!device.IsEmulated)
                return new DeviceSelection(device, null);
            device.Dispose();
        }
        catch (MoeDeviceException e) when (!required)
        {
            return new DeviceSelection(null, e.Message);
        }

        return required
            ? throw new MoeDeviceException("auto", "the native library in use only emulates a device")
            : new DeviceSelection(null, null);
    }
}
