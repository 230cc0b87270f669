using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Cpu;

/// <summary>The last two steps of the reductions, shared by all register widths.</summary>
internal static class VecReduce
{
    /// <summary><c>(v[0] + v[2]) + (v[1] + v[3])</c>: the canonical tree from four sums down.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector128<float> four)
    {
        Vector128<float> two = four + Vector128.Shuffle(four, Vector128.Create(2, 3, 2, 3));
        return two[0] + two[1];
    }

    /// <summary>The four results of <see cref="Sum"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(
        Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d)
    {
        Vector128<float> ab = Pairs(a, b);
        Vector128<float> cd = Pairs(c, d);
        if (Sse.IsSupported)
            return Sse.Shuffle(ab, cd, 0b10_00_10_00) + Sse.Shuffle(ab, cd, 0b11_01_11_01);
        if (AdvSimd.Arm64.IsSupported)
            return AdvSimd.Arm64.UnzipEven(ab, cd) + AdvSimd.Arm64.UnzipOdd(ab, cd);
        return Vector128.Create(ab[0] + ab[1], ab[2] + ab[3], cd[0] + cd[1], cd[2] + cd[3]);
    }

    // (a0 + a2, a1 + a3, b0 + b2, b1 + b3)
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Pairs(Vector128<float> a, Vector128<float> b) =>
        Vector128.Create(a.GetLower(), b.GetLower()) + Vector128.Create(a.GetUpper(), b.GetUpper());

    /// <summary>The largest of four lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Vector128<float> four)
    {
        Vector128<float> two = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 2, 3)));
        return MathF.Max(two[0], two[1]);
    }
}
