using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>Elementwise helpers over contiguous vectors; the same bits at every SIMD level. A destination may be a
/// source.</summary>
internal static unsafe class Vec
{
    /// <summary><c>y[i] = x[i] * scale + y[i]</c>, fused.</summary>
    public static void AddScaled(float* y, float* x, float scale, int count) =>
        Elementwise.Map(new AddScaledMap(scale), x, y, y, count);

    /// <summary><c>y[i] = a[i] + b[i]</c>.</summary>
    public static void Add(float* a, float* b, float* y, int count) =>
        Elementwise.Map(default(AddMap), a, b, y, count);

    /// <summary><c>y[i] = a[i] * b[i]</c>.</summary>
    public static void Multiply(float* a, float* b, float* y, int count) =>
        Elementwise.Map(default(MultiplyMap), a, b, y, count);

    /// <summary><c>y[i] = x[i] * scale</c>.</summary>
    public static void Scale(float* x, float scale, float* y, int count) =>
        Elementwise.Map(new ScaleMap(scale), x, y, count);

    /// <summary><c>y[i] = x[i] * σ(gate[i])</c>.</summary>
    public static void MultiplySigmoid(float* x, float* gate, float* y, int count) =>
        Elementwise.Map(default(MultiplySigmoidMap), x, gate, y, count);

    /// <summary><c>y[i] = min(max(x[i], low), high)</c>; NaN stays NaN.</summary>
    public static void Clamp(float* x, float low, float high, float* y, int count) =>
        Elementwise.Map(new ClampMap(low, high), x, y, count);

    /// <summary><c>Σ a[i] b[i]</c> in the canonical order.</summary>
    public static float Dot(float* a, float* b, int count)
    {
        DotKernel kernel = new() { A = a, B = b, Count = count };
        Simd.Run(ref kernel);
        return kernel.Result;
    }

    /// <summary><c>Σ x[i]</c> in the canonical order.</summary>
    public static float Sum(float* x, int count)
    {
        SumKernel kernel = new() { X = x, Count = count };
        Simd.Run(ref kernel);
        return kernel.Result;
    }

    /// <summary>The body of <see cref="Dot(float*, float*, int)"/> at a given width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Dot<T>(float* a, float* b, int count)
        where T : struct, IVec16<T>
    {
        // The padded last step is read before the loop: a call behind it would keep the sums in memory.
        int whole = count & ~15;
        T lastA = T.Zero, lastB = T.Zero;
        if (whole < count)
        {
            lastA = VecTail.Load<T>(a + whole, count - whole);
            lastB = VecTail.Load<T>(b + whole, count - whole);
        }

        T sums = T.Zero;
        for (int i = 0; i < whole; i += 16)
            sums = T.Fma(T.Load(a + i), T.Load(b + i), sums);
        return T.Sum(whole < count ? T.Fma(lastA, lastB, sums) : sums);
    }

    /// <summary>The body of <see cref="Sum(float*, int)"/> at a given width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Sum<T>(float* x, int count)
        where T : struct, IVec16<T>
    {
        int whole = count & ~15;
        T last = whole < count ? VecTail.Load<T>(x + whole, count - whole) : T.Zero;
        T sums = T.Zero;
        for (int i = 0; i < whole; i += 16)
            sums += T.Load(x + i);
        return T.Sum(sums + last);
    }

    private readonly struct AddScaledMap(float scale) : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => T.Fma(T.Create(scale), a, b);
    }

    private readonly struct AddMap : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => a + b;
    }

    private readonly struct MultiplyMap : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => a * b;
    }

    private readonly struct ScaleMap(float scale) : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => x * T.Create(scale);
    }

    private readonly struct MultiplySigmoidMap : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => a * VecMath.Sigmoid(b);
    }

    private readonly struct ClampMap(float low, float high) : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.Min(VecMath.Max(x, T.Create(low)), T.Create(high));
    }

    private struct DotKernel : IVecKernel
    {
        public float* A, B;
        public int Count;
        public float Result;

        public void Invoke<T>()
            where T : struct, IVec16<T> => Result = Dot<T>(A, B, Count);
    }

    private struct SumKernel : IVecKernel
    {
        public float* X;
        public int Count;
        public float Result;

        public void Invoke<T>()
            where T : struct, IVec16<T> => Result = Sum<T>(X, Count);
    }
}
