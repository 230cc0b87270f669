using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using MoeKernels.Cpu;
using MoeKernels.Cuda;

namespace MoeKernels.Planning;

/// <summary>How a check ended.</summary>
public enum CheckStatus
{
    /// <summary>As it should be.</summary>
    Ok,

    /// <summary>Works, but something is missing or slower than it could be.</summary>
    Note,

    /// <summary>Broken.</summary>
    Fail,
}

/// <summary>One line of a doctor's report.</summary>
/// <param name="Status">How it ended.</param>
/// <param name="Name">What was checked.</param>
/// <param name="Detail">What was found, and the next step where something is wrong.</param>
public sealed record HealthCheck(CheckStatus Status, string Name, string Detail);

/// <summary>Checks this machine, and a model on it.</summary>
public static class Doctor
{
    /// <summary>Checks the runtime, the processor's kernels against each other, memory and devices.</summary>
    public static IReadOnlyList<HealthCheck> CheckMachine()
    {
        var hardware = HardwareInfo.Detect();
        return
        [
            new(CheckStatus.Ok, "runtime",
                $"{RuntimeInformation.FrameworkDescription} on {RuntimeInformation.RuntimeIdentifier}"),
            Kernels(hardware),
            SelfTest(),
            new(CheckStatus.Ok, "memory", string.Create(CultureInfo.InvariantCulture,
                $"{hardware.AvailableMemoryBytes / 1e9:F1} of {hardware.TotalMemoryBytes / 1e9:F1} GB available")),
            Cuda(),
        ];
    }

    private static HealthCheck Kernels(HardwareInfo hardware)
    {
        if (Simd.Level < SimdLevel.V256 && Avx2.IsSupported)
        {
            return new(CheckStatus.Note, "kernels", $"{hardware.KernelSet} on a processor with AVX2: MOEK_KERNELS asks "
                + "for it, or an ahead-of-time build lacks <IlcInstructionSet>x86-64-v3</IlcInstructionSet>");
        }

        return Simd.Level == SimdLevel.Software
            ? new(CheckStatus.Note, "kernels", "scalar code: this processor's vector instructions are not known")
            : new(CheckStatus.Ok, "kernels", $"{hardware.KernelSet}, {WorkerPool.DefaultThreads} threads");
    }

    private static HealthCheck Cuda()
    {
        try
        {
            using CudaDevice device = CudaDevice.Open(0);
            string kind = device.IsEmulated ? "emulated on the CPU, slowly: for tests" : device.Name;
            return new(device.IsEmulated ? CheckStatus.Note : CheckStatus.Ok, "cuda", string.Create(
                CultureInfo.InvariantCulture,
                $"{device.Id}: {kind}; compute capability {device.Capability / 10}.{device.Capability % 10}, "
                + $"{device.FreeBytes / 1e9:F1} GB free; {CudaDevice.LibraryPath}"));
        }
        catch (MoeDeviceException e)
        {
            return new(CheckStatus.Note, "cuda", $"models run on the CPU: {e.Message}");
        }
    }

    private static HealthCheck SelfTest()
    {
        string? difference = KernelSelfTest.FirstDifference();
        return difference is null
            ? new(CheckStatus.Ok, "self-test", "the linear kernel gives the scalar reference's bits")
            : new(CheckStatus.Fail, "self-test", $"{difference}; please report this with what moe doctor --json says");
    }
}
