using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>Softmax of one row.</summary>
internal static unsafe class Softmax
{
    /// <summary><c>y[i] = exp(x[i] - m) / Σ exp(x[j] - m)</c> with the canonical sum; <paramref name="y"/> may be
    /// <paramref name="x"/>.</summary>
    public static void Row(float* x, float* y, int count) => Row(x, y, count, null);

    /// <summary>Softmax with one more logit <paramref name="sink"/> that takes part in maximum and sum but has no
    /// output.</summary>
    /// <param name="x">Logits, [count].</param>
    /// <param name="y">Probabilities, [count]; may be <paramref name="x"/>.</param>
    /// <param name="count">Number of logits.</param>
    /// <param name="sink">The extra logit, or null for none.</param>
    public static void Row(float* x, float* y, int count, float* sink)
    {
        RowKernel kernel = new() { X = x, Y = y, Sink = sink, Count = count };
        Simd.Run(ref kernel);
    }

    /// <summary>The largest element, at least <paramref name="floor"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float Largest<T>(float* x, int count, float floor)
        where T : struct, IVec16<T>
    {
        T largest = T.Create(floor);
        int i = 0;
        for (; i <= count - 16; i += 16)
            largest = VecMath.Max(largest, T.Load(x + i));
        float result = T.Largest(largest);
        for (; i < count; i++)
            result = MathF.Max(result, x[i]);
        return result;
    }

    /// <summary><c>exp(x)</c> of one number, with the bits of the vector function.</summary>
    internal static float Exp<T>(float x)
        where T : struct, IVec16<T> => T.Largest(VecMath.Exp(T.Create(x)));

    /// <summary><c>y[i] = x[i] / divisor</c>.</summary>
    internal static void Divide<T>(float* x, float divisor, float* y, int count)
        where T : struct, IVec16<T> => Elementwise.Map<DivideMap, T>(new DivideMap(divisor), x, y, count);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row<T>(float* x, float* y, int count, float* sink)
        where T : struct, IVec16<T>
    {
        float max = Largest<T>(x, count, sink == null ? float.NegativeInfinity : *sink);
        T shift = T.Create(max);
        int whole = count & ~15;
        T last = T.Zero;
        if (whole < count)
        {
            last = VecMath.Exp(VecTail.Load<T>(x + whole, count - whole) - shift) & VecTail.Mask<T>(count - whole);
            VecTail.Store(last, y + whole, count - whole);
        }

        T sums = T.Zero;
        for (int i = 0; i < whole; i += 16)
        {
            T weight = VecMath.Exp(T.Load(x + i) - shift);
            sums += weight;
            T.Store(weight, y + i);
        }

        sums += last;
        float sum = T.Sum(sums) + (sink == null ? 0 : Exp<T>(*sink - max));
        Divide<T>(y, sum, y, count);
    }

    private readonly struct DivideMap(float divisor) : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => x / T.Create(divisor);
    }

    private struct RowKernel : IVecKernel
    {
        public float* X, Y, Sink;
        public int Count;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T> => Row<T>(X, Y, Count, Sink);
    }
}
