using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Table building with 512-bit registers: 32 vectors of the codebook in each.</summary>
internal static unsafe class TableBody512
{
    public static bool IsSupported => Avx512BW.IsSupported;

    /// <summary>Dot products of all entries of a chunk.</summary>
    /// <param name="source">The codebook.</param>
    /// <param name="groups">Groups.</param>
    /// <param name="inputs">Inputs + 128, [groups × dimension] and one more.</param>
    /// <param name="weights">The groups' steps in parts of 2^15, [groups]; products are rounded.</param>
    /// <param name="dots">Output, [groups × stages × 128].</param>
    /// <returns>The largest magnitude.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Dots(in TableSource source, int groups, byte* inputs, short* weights, short* dots)
    {
        (int dimension, int stages, int pairs) = (source.Dimension, source.Stages, source.PairCount);
        Vector512<ushort> largest = default;
        for (int group = 0; group < groups; group++, inputs += dimension)
        {
            Vector512<short> weight = Vector512.Create(weights[group]);
            for (int stage = 0; stage < stages; stage++, dots += CodebookShape.Vectors)
            {
                short* bias = source.Bias(stage);
                sbyte* numbers = source.Pairs(stage);
                Vector512<short> a = Vector512.Load(bias), b = Vector512.Load(bias + 32);
                Vector512<short> c = Vector512.Load(bias + 64), d = Vector512.Load(bias + 96);
                for (int k = 0; k < pairs; k++, numbers += 2 * CodebookShape.Vectors)
                {
                    Vector512<byte> x = Vector512.Create(*(short*)(inputs + (2 * k))).AsByte();
                    a += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers));
                    b += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 64));
                    c += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 128));
                    d += Avx512BW.MultiplyAddAdjacent(x, Vector512.Load(numbers + 192));
                }

                a = Avx512BW.MultiplyHighRoundScale(a, weight);
                b = Avx512BW.MultiplyHighRoundScale(b, weight);
                c = Avx512BW.MultiplyHighRoundScale(c, weight);
                d = Avx512BW.MultiplyHighRoundScale(d, weight);
                Vector512.Store(a, dots);
                Vector512.Store(b, dots + 32);
                Vector512.Store(c, dots + 64);
                Vector512.Store(d, dots + 96);
                largest = Avx512BW.Max(largest, Avx512BW.Max(
                    Avx512BW.Max(Avx512BW.Abs(a), Avx512BW.Abs(b)), Avx512BW.Max(Avx512BW.Abs(c), Avx512BW.Abs(d))));
            }
        }

        int result = 0;
        for (int i = 0; i < Vector512<ushort>.Count; i++)
            result = Math.Max(result, largest[i]);
        return result;
    }

    /// <summary>Rounds dot products to table bytes: <c>(dot * factor >> 16) + 128</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round(short* dots, int count, short factor, byte* table)
    {
        Vector512<short> factors = Vector512.Create(factor);
        Vector512<short> bias = Vector512.Create((short)128);
        for (int i = 0; i < count; i += 32)
        {
            Vector512<short> value = Avx512BW.MultiplyHigh(Vector512.Load(dots + i), factors) + bias;
            Vector256.Store(Avx512BW.ConvertToVector256Byte(value), table + i);
        }
    }
}
