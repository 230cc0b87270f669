using System.Runtime.Intrinsics.Arm;
using MoeKernels.Cpu;

namespace MoeKernels.Planning;

/// <summary>The name of the instruction set the kernels run on.</summary>
internal static class KernelSets
{
    public static string Name => Simd.Level switch
    {
        SimdLevel.V512 => "AVX-512",
        SimdLevel.V256 => "AVX2",
        SimdLevel.V128 => AdvSimd.IsSupported ? "NEON" : "128-bit SIMD",
        _ => "scalar",
    };
}
