using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Table building with AVX2: 16 vectors of the codebook in a register.</summary>
internal static unsafe class TableBody256
{
    public static bool IsSupported => Avx2.IsSupported;

    /// <inheritdoc cref="TableBody512.Dots"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Dots(in TableSource source, int groups, byte* inputs, short* weights, short* dots)
    {
        (int dimension, int stages, int pairs) = (source.Dimension, source.Stages, source.PairCount);
        Vector256<ushort> largest = default;
        for (int group = 0; group < groups; group++, inputs += dimension)
        {
            Vector256<short> weight = Vector256.Create(weights[group]);
            for (int stage = 0; stage < stages; stage++, dots += CodebookShape.Vectors)
            {
                for (int first = 0; first < CodebookShape.Vectors; first += 64)
                {
                    short* bias = source.Bias(stage) + first;
                    sbyte* numbers = source.Pairs(stage) + (2 * first);
                    Vector256<short> a = Vector256.Load(bias), b = Vector256.Load(bias + 16);
                    Vector256<short> c = Vector256.Load(bias + 32), d = Vector256.Load(bias + 48);
                    for (int k = 0; k < pairs; k++, numbers += 2 * CodebookShape.Vectors)
                    {
                        Vector256<byte> x = Vector256.Create(*(short*)(inputs + (2 * k))).AsByte();
                        a += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers));
                        b += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 32));
                        c += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 64));
                        d += Avx2.MultiplyAddAdjacent(x, Vector256.Load(numbers + 96));
                    }

                    a = Avx2.MultiplyHighRoundScale(a, weight);
                    b = Avx2.MultiplyHighRoundScale(b, weight);
                    c = Avx2.MultiplyHighRoundScale(c, weight);
                    d = Avx2.MultiplyHighRoundScale(d, weight);
                    Vector256.Store(a, dots + first);
                    Vector256.Store(b, dots + first + 16);
                    Vector256.Store(c, dots + first + 32);
                    Vector256.Store(d, dots + first + 48);
                    largest = Avx2.Max(largest, Avx2.Max(
                        Avx2.Max(Avx2.Abs(a), Avx2.Abs(b)), Avx2.Max(Avx2.Abs(c), Avx2.Abs(d))));
                }
            }
        }

        int result = 0;
        for (int i = 0; i < Vector256<ushort>.Count; i++)
            result = Math.Max(result, largest[i]);
        return result;
    }

    /// <inheritdoc cref="TableBody512.Round"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round(short* dots, int count, short factor, byte* table)
    {
        Vector256<short> factors = Vector256.Create(factor);
        Vector256<short> bias = Vector256.Create((short)128);
        for (int i = 0; i < count; i += 32)
        {
            Vector256<short> low = Avx2.MultiplyHigh(Vector256.Load(dots + i), factors) + bias;
            Vector256<short> high = Avx2.MultiplyHigh(Vector256.Load(dots + i + 16), factors) + bias;

            // Packing works in 128-bit halves; the permutation puts the quarters in order.
            Vector256<long> packed = Avx2.PackUnsignedSaturate(low, high).AsInt64();
            Vector256.Store(Avx2.Permute4x64(packed, 0b11_01_10_00).AsByte(), table + i);
        }
    }
}
