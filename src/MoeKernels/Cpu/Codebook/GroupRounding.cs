using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Rounds one chunk of inputs to 8 bits with a step per group, as <see cref="CodebookReference.RoundGroups"/>
/// does.</summary>
/// <remarks>The largest of 8 inputs is half as large as the largest of a chunk's 512, and so is the rounding
/// error.</remarks>
internal static unsafe class GroupRounding
{
    /// <summary>Numbers behind a chunk's inputs that are read, and bytes behind its rounded ones that are
    /// written.</summary>
    public const int Overhang = 16;

    /// <summary>Rounds inputs.</summary>
    /// <param name="x">Inputs, [groups × dimension + <see cref="Overhang"/>], zero behind the last column.</param>
    /// <param name="groups">Groups, at most 64.</param>
    /// <param name="dimension">Inputs of a group.</param>
    /// <param name="biased">Output, q + 128, [groups × dimension + <see cref="Overhang"/>].</param>
    /// <param name="weights">Output, the groups' steps in parts of 2^15 of the result, [groups rounded up to
    /// 4].</param>
    /// <returns>The step that the weights are parts of; NaN where an input is not finite, 0 where all are almost zero,
    /// both with q = 0.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static float Round(float* x, int groups, int dimension, byte* biased, short* weights)
    {
        int* magnitudes = stackalloc int[CodebookShape.MaxChunkEntries + 4];
        int bits = Magnitudes(x, groups, dimension, magnitudes);
        float largest = BitConverter.Int32BitsToSingle(bits);
        if (bits >= InputRounding.Infinity || largest < CodebookReference.SmallestMagnitude)
        {
            new Span<byte>(biased, groups * dimension).Fill(InputRounding.Zero);
            new Span<short>(weights, groups).Clear();
            return bits >= InputRounding.Infinity ? float.NaN : 0;
        }

        float* factors = stackalloc float[CodebookShape.MaxChunkEntries + 4];
        Vector128<float> part = Vector128.Create(CodebookReference.LargestWeight / largest);
        for (int group = 0; group < groups; group += 4)
        {
            Vector128<float> magnitude = Vector128.Load(magnitudes + group).AsSingle();
            Vector128<int> weight = ((magnitude * part) + Vector128.Create(InputRounding.Magic)).AsInt32();
            Vector64.Store(Vector128.Narrow(weight, weight).GetLower(), weights + group);
            Vector128<float> smallest = Vector128.Create(CodebookReference.SmallestMagnitude);
            Vector128.Store(Vector128.Create(127f) / Vector128.Max(magnitude, smallest), factors + group);
        }

        for (int group = 0; group < groups; group++, x += dimension, biased += dimension)
            RoundGroup(x, dimension, factors[group], biased);
        return largest * CodebookReference.StepOfLargest;
    }

    /// <summary>Bits of the groups' largest magnitudes, and of the largest of all: bits ascend with magnitudes,
    /// infinity and NaN above all numbers.</summary>
    private static int Magnitudes(float* x, int groups, int dimension, int* magnitudes)
    {
        int rest = (dimension - 1) & ~3;
        Vector128<int> mask = Vector128.Create(InputRounding.SignMask), indices = Vector128.Create(0, 1, 2, 3);
        Vector128<int> restMask = mask & Vector128.LessThan(indices, Vector128.Create(dimension - rest));
        int largest = 0;
        for (int group = 0; group < groups; group++, x += dimension)
        {
            Vector128<int> values = Vector128.Load((int*)(x + rest)) & restMask;
            for (int k = 0; k < rest; k += 4)
                values = Vector128.Max(values, Vector128.Load((int*)(x + k)) & mask);
            values = Vector128.Max(values, Vector128.Shuffle(values, Vector128.Create(2, 3, 0, 1)));
            values = Vector128.Max(values, Vector128.Shuffle(values, Vector128.Create(1, 0, 3, 2)));
            magnitudes[group] = values.ToScalar();
            largest = Math.Max(largest, values.ToScalar());
        }

        Vector128.Store(Vector128<int>.Zero, magnitudes + groups);
        return largest;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void RoundGroup(float* x, int dimension, float factor, byte* biased)
    {
        Vector128<ushort> low = Eight(x, factor);
        Vector128<ushort> high = dimension <= 8 ? low : Eight(x + 8, factor);
        Vector128.Store(Vector128.Narrow(low, high), biased);
    }

    private static Vector128<ushort> Eight(float* x, float factor) =>
        Vector128.Narrow(InputRounding.Rounded(x, factor), InputRounding.Rounded(x + 4, factor));
}
