using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Rounds one chunk of inputs to 8 bits with one step, as <see cref="CodebookReference.RoundInputs"/>
/// does.</summary>
internal static unsafe class InputRounding
{
    /// <summary>How zero is stored: inputs are biased by 128 for the unsigned side of the byte products.</summary>
    public const byte Zero = 128;

    /// <summary>1.5 × 2^23: adding it rounds to an integer, ties to even, in the low bits.</summary>
    public const float Magic = 12582912;

    /// <summary>The bits of a magnitude.</summary>
    public const int SignMask = int.MaxValue;

    /// <summary>Bits of infinity; those of NaN are larger.</summary>
    public const int Infinity = 0x7F800000;

    /// <summary>Rounds inputs.</summary>
    /// <param name="x">Inputs, [count].</param>
    /// <param name="count">Number of inputs.</param>
    /// <param name="biased">Output, q + 128, [count].</param>
    /// <returns>The step; NaN with q = 0 where an input is not finite, 0 where all are almost zero.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Round(float* x, int count, byte* biased)
    {
        int bits = LargestMagnitude(x, count);
        float largest = BitConverter.Int32BitsToSingle(bits);
        if (bits >= Infinity || largest < CodebookReference.SmallestMagnitude)
        {
            new Span<byte>(biased, count).Fill(Zero);
            return bits >= Infinity ? float.NaN : 0;
        }

        float factor = 127 / largest;
        int i = 0;
        for (; i <= count - 16; i += 16)
        {
            Vector128<ushort> low = Vector128.Narrow(Rounded(x + i, factor), Rounded(x + i + 4, factor));
            Vector128<ushort> high = Vector128.Narrow(Rounded(x + i + 8, factor), Rounded(x + i + 12, factor));
            Vector128.Store(Vector128.Narrow(low, high), biased + i);
        }

        for (; i < count; i++)
            biased[i] = (byte)(BitConverter.SingleToInt32Bits((x[i] * factor) + Magic) + Zero);
        return largest / 127;
    }

    /// <summary><c>y[i] = x[i] * factors[i]</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale(float* x, float* factors, int count, float* y)
    {
        int i = 0;
        for (; i <= count - 4; i += 4)
            Vector128.Store(Vector128.Load(x + i) * Vector128.Load(factors + i), y + i);
        for (; i < count; i++)
            y[i] = x[i] * factors[i];
    }

    /// <summary>Four inputs times a factor, rounded, plus <see cref="Zero"/>.</summary>
    public static Vector128<uint> Rounded(float* x, float factor)
    {
        Vector128<float> sum = (Vector128.Load(x) * factor) + Vector128.Create(Magic + Zero);
        return sum.AsUInt32() & Vector128.Create(255u);
    }

    /// <summary>Bits of the largest magnitude: they ascend with it, infinity and NaN above all numbers.</summary>
    private static int LargestMagnitude(float* x, int count)
    {
        Vector128<int> mask = Vector128.Create(SignMask);
        Vector128<int> largest = Vector128<int>.Zero;
        int i = 0;
        for (; i <= count - 4; i += 4)
            largest = Vector128.Max(largest, Vector128.Load((int*)(x + i)) & mask);
        int result = Math.Max(Math.Max(largest[0], largest[1]), Math.Max(largest[2], largest[3]));
        for (; i < count; i++)
            result = Math.Max(result, BitConverter.SingleToInt32Bits(x[i]) & SignMask);
        return result;
    }
}
