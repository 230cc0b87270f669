using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Table building with 128-bit registers of any processor: 8 vectors of the codebook in a register.</summary>
internal static unsafe class TableBody128
{
    /// <inheritdoc cref="TableBody512.Dots"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Dots(in TableSource source, int groups, byte* inputs, short* weights, short* dots)
    {
        Vector128<short> largest = default;
        for (int group = 0; group < groups; group++, inputs += source.Dimension)
        {
            for (int stage = 0; stage < source.Stages; stage++, dots += CodebookShape.Vectors)
            {
                for (int first = 0; first < CodebookShape.Vectors; first += 8)
                {
                    Vector128<short> sum = Dot(source.Pairs(stage) + (2 * first), source.PairCount, inputs);
                    sum = Weighted(sum, weights[group]);
                    Vector128.Store(sum, dots + first);
                    largest = Vector128.Max(largest, Vector128.Abs(sum));
                }
            }
        }

        int result = 0;
        for (int i = 0; i < Vector128<short>.Count; i++)
            result = Math.Max(result, largest[i]);
        return result;
    }

    /// <inheritdoc cref="TableBody512.Round"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round(short* dots, int count, short factor, byte* table)
    {
        for (int i = 0; i < count; i += 16)
        {
            Vector128<short> low = Scale(Vector128.Load(dots + i), factor);
            Vector128<short> high = Scale(Vector128.Load(dots + i + 8), factor);
            Vector128.Store(Vector128.Narrow(low.AsUInt16(), high.AsUInt16()), table + i);
        }
    }

    private static Vector128<short> Dot(sbyte* numbers, int pairs, byte* inputs)
    {
        Vector128<short> sum = default;
        for (int k = 0; k < pairs; k++, numbers += 2 * CodebookShape.Vectors)
        {
            Vector128<short> both = Vector128.Load(numbers).AsInt16();
            sum += Vector128.ShiftRightArithmetic(both << 8, 8) * (short)(inputs[2 * k] - InputRounding.Zero);
            sum += Vector128.ShiftRightArithmetic(both, 8) * (short)(inputs[(2 * k) + 1] - InputRounding.Zero);
        }

        return sum;
    }

    private static Vector128<short> Weighted(Vector128<short> sum, short weight)
    {
        Vector128<short> weights = Vector128.Create(weight);
        if (Ssse3.IsSupported)
            return Ssse3.MultiplyHighRoundScale(sum, weights);
        if (AdvSimd.IsSupported)
            return AdvSimd.MultiplyRoundedDoublingSaturateHigh(sum, weights);
        (Vector128<int> low, Vector128<int> high) = Vector128.Widen(sum);
        Vector128<int> half = Vector128.Create(1 << 14);
        low = Vector128.ShiftRightArithmetic((low * weight) + half, 15);
        high = Vector128.ShiftRightArithmetic((high * weight) + half, 15);
        return Vector128.Narrow(low, high);
    }

    private static Vector128<short> Scale(Vector128<short> dots, short factor)
    {
        (Vector128<int> low, Vector128<int> high) = Vector128.Widen(dots);
        low = Vector128.ShiftRightArithmetic(low * factor, 16);
        high = Vector128.ShiftRightArithmetic(high * factor, 16);
        return Vector128.Narrow(low, high) + Vector128.Create((short)128);
    }
}
