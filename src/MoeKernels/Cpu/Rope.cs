using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>Rotary position embedding of one head, in place: <c>(a, b) -> (a c - b s, b c + a s)</c>, not
/// fused.</summary>
internal static unsafe class Rope
{
    /// <summary>Rotates the pairs <c>(x[i], x[i + pairs])</c>.</summary>
    /// <param name="x">The rotated part of one head, [2 × pairs].</param>
    /// <param name="cos">Cosines of the position, [pairs].</param>
    /// <param name="sin">Sines of the position, [pairs].</param>
    /// <param name="pairs">Half the rotated dimensions.</param>
    public static void HalfSplit(float* x, float* cos, float* sin, int pairs)
    {
        HalfSplitKernel kernel = new() { X = x, Cos = cos, Sin = sin, Pairs = pairs };
        Simd.Run(ref kernel);
    }

    /// <summary>Rotates the pairs <c>(x[2i], x[2i + 1])</c>.</summary>
    /// <param name="x">The rotated part of one head, [pairs × 2].</param>
    /// <param name="cos">Cosines of the position, [pairs].</param>
    /// <param name="sin">Sines of the position, [pairs].</param>
    /// <param name="pairs">Half the rotated dimensions.</param>
    public static void Interleaved(float* x, float* cos, float* sin, int pairs)
    {
        for (int i = 0; i < pairs; i++)
            Rotate(x + (2 * i), x + (2 * i) + 1, cos[i], sin[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void HalfSplit<T>(float* x, float* cos, float* sin, int pairs)
        where T : struct, IVec16<T>
    {
        float* y = x + pairs;
        int i = 0;
        for (; i <= pairs - 16; i += 16)
        {
            T a = T.Load(x + i), b = T.Load(y + i), c = T.Load(cos + i), s = T.Load(sin + i);
            T.Store((a * c) - (b * s), x + i);
            T.Store((b * c) + (a * s), y + i);
        }

        for (; i < pairs; i++)
            Rotate(x + i, y + i, cos[i], sin[i]);
    }

    private static void Rotate(float* a, float* b, float cos, float sin)
    {
        float first = (*a * cos) - (*b * sin);
        *b = (*b * cos) + (*a * sin);
        *a = first;
    }

    private struct HalfSplitKernel : IVecKernel
    {
        public float* X, Cos, Sin;
        public int Pairs;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T> => HalfSplit<T>(X, Cos, Sin, Pairs);
    }
}
