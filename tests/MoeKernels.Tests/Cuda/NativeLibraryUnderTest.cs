using System.Runtime.CompilerServices;
using MoeKernels.Cuda;
using MoeKernels.Interop;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Cuda;

/// <summary>The native library that tests of the device backend run on: the one of MOEK_NATIVE, else the emulated one
/// if it was built (<c>cmake --build artifacts/native/Release</c>).</summary>
internal static class NativeLibraryUnderTest
{
    private const string Variable = "MOEK_NATIVE";

    private static string Built =>
        Path.Combine(RepositoryPaths.Root, "artifacts", "native", "Release", "libmoekernels.so");

    /// <summary>Opens the device, or skips the test where there is no library.</summary>
    public static CudaDevice Require(bool roundsActivations = false)
    {
        Assert.SkipUnless(NativeRuntime.TryLoad(out string? reason), reason ?? "");
        return CudaDevice.Open(0, roundsActivations);
    }

    /// <summary>Before anything asks for the library, which is looked for once.</summary>
    [ModuleInitializer]
    internal static void Choose()
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Variable)) && File.Exists(Built))
            Environment.SetEnvironmentVariable(Variable, Built);
    }
}
