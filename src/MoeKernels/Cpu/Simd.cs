using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Cpu;

/// <summary>A kernel body written once over <see cref="IVec16{T}"/>; its fields are its arguments.</summary>
internal interface IVecKernel
{
    /// <summary>Runs the kernel with one register width.</summary>
    void Invoke<TVec>()
        where TVec : struct, IVec16<TVec>;
}

/// <summary>Chooses the register width of every kernel.</summary>
internal static class Simd
{
    private const string Variable = "MOEK_KERNELS";

    // Negative until the first use, so that a bad variable is reported there and not by a type initializer.
    private static int s_level = -1;

    /// <summary>The widest level this processor and runtime accelerate.</summary>
    public static SimdLevel Best =>
        Vector512.IsHardwareAccelerated && Avx512F.IsSupported ? SimdLevel.V512
        : Vector256.IsHardwareAccelerated && Avx2.IsSupported ? SimdLevel.V256
        : Vector128.IsHardwareAccelerated ? SimdLevel.V128
        : SimdLevel.Software;

    /// <summary>The level in use: <see cref="Best"/>, or what the environment variable MOEK_KERNELS asks for.</summary>
    /// <remarks>Tests set it between kernels; a level above <see cref="Best"/> must not be set.</remarks>
    /// <exception cref="MoeUnsupportedException">The first reader finds a name that is unknown, or a level this
    /// processor lacks, in the variable.</exception>
    public static SimdLevel Level
    {
        get => s_level >= 0
            ? (SimdLevel)s_level
            : Level = FromEnvironment(Environment.GetEnvironmentVariable(Variable));
        set => s_level = (int)value;
    }

    /// <summary>Reads <c>512</c>, <c>256</c>, <c>128</c> or <c>software</c>.</summary>
    /// <exception cref="MoeUnsupportedException">The name is unknown, or the processor lacks the level.</exception>
    public static SimdLevel FromEnvironment(string? name)
    {
        SimdLevel level = name switch
        {
            null or "" => Best,
            "512" => SimdLevel.V512,
            "256" => SimdLevel.V256,
            "128" => SimdLevel.V128,
            "software" => SimdLevel.Software,
            _ => throw new MoeUnsupportedException($"{Variable}={name} (known: 512, 256, 128, software)"),
        };
        return level <= Best
            ? level
            : throw new MoeUnsupportedException($"{Variable}={name} on a processor whose best level is {Best}");
    }

    /// <summary>Runs a kernel at the current level.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<TKernel>(ref TKernel kernel)
        where TKernel : struct, IVecKernel
    {
        switch (Level)
        {
            case SimdLevel.V512:
                kernel.Invoke<Vec512>();
                break;
            case SimdLevel.V256:
                kernel.Invoke<Vec256>();
                break;
            case SimdLevel.V128:
                kernel.Invoke<Vec128>();
                break;
            default:
                kernel.Invoke<VecSoftware>();
                break;
        }
    }
}
