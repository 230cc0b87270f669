using MoeKernels.Cuda;
using MoeKernels.Models.Placement;
using MoeKernels.Planning;

namespace MoeKernels;

/// <summary>Where a model that is being loaded will run.</summary>
/// <param name="Wanted">What the caller or the environment asked for.</param>
/// <param name="Threads">Worker threads.</param>
/// <param name="Kernels">Instruction set of the CPU's kernels.</param>
/// <param name="Device">Null for the CPU.</param>
/// <param name="FallbackReason">Why it is not what was asked for.</param>
/// <param name="Placement">What will put the layers on the device; null for the CPU.</param>
internal sealed record ModelBackend(
    Device Wanted, int Threads, string Kernels, CudaDevice? Device, string? FallbackReason, DevicePlacement? Placement)
{
    /// <summary>Opens the device that the options ask for.</summary>
    /// <exception cref="MoeDeviceException">The device is required and cannot be used.</exception>
    /// <exception cref="FormatException">The environment names no device.</exception>
    public static ModelBackend Open(MoeLoadOptions options, int threads)
    {
        string kernels = KernelSets.Name;
        Device wanted = options.Device ?? MoeKernels.Device.OfEnvironment();
        var (device, reason) = DeviceSelection.Open(
            wanted, options.RequireDevice, options.DeviceActivations == ActivationPrecision.BFloat16);
        DevicePlacement? placement = device is null ? null : new DevicePlacement(device);
        return new ModelBackend(wanted, threads, kernels, device, reason, placement);
    }

    /// <summary>The report, once the model is placed.</summary>
    public BackendInfo Describe() =>
        new(Wanted.ToString(), Device?.Id ?? "cpu", Kernels, Threads, FallbackReason)
        {
            DeviceName = Device?.Name,
            NativePath = Device is null ? null : CudaDevice.LibraryPath,
            HostSteps = Placement is null ? [] : [.. Placement.HostReasons],
        };
}
