using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>Normalisations of rows, with canonical sums and correctly rounded roots. A destination may be its
/// source.</summary>
internal static unsafe class Norms
{
    /// <summary><c>y[t, i] = x[t, i] / sqrt(mean(x[t]²) + eps) * (weight[i] + offset)</c>.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="x">Rows, [rows × n].</param>
    /// <param name="xStride">Distance between two rows of <paramref name="x"/> in elements.</param>
    /// <param name="weight">[n], or null for none (Llama-4's L2 norm).</param>
    /// <param name="offset">Added to each weight: 1 for the families that store <c>w - 1</c>, else 0.</param>
    /// <param name="eps">Added to the mean square.</param>
    /// <param name="y">Output, [rows × n].</param>
    /// <param name="yStride">Distance between two rows of <paramref name="y"/> in elements.</param>
    /// <param name="rows">Number of rows: tokens, or tokens × heads for q and k norms.</param>
    /// <param name="n">Elements a row.</param>
    public static void Rms(
        WorkerPool pool, float* x, nint xStride, float* weight, float offset, float eps, float* y, nint yStride,
        int rows, int n)
    {
        NormWork work = new()
        {
            X = x,
            XStride = xStride,
            Weight = weight,
            Offset = offset,
            Eps = eps,
            Y = y,
            YStride = yStride,
            N = n,
        };
        Run(pool, ref work, rows);
    }

    /// <summary>RMS norm followed by a gate (Qwen3-Next): <c>y = rms(x) * weight * silu(gate)</c>.</summary>
    public static void RmsGated(
        WorkerPool pool, float* x, nint xStride, float* weight, float eps, float* gate, nint gateStride, float* y,
        nint yStride, int rows, int n)
    {
        NormWork work = new()
        {
            X = x,
            XStride = xStride,
            Weight = weight,
            Eps = eps,
            Gate = gate,
            GateStride = gateStride,
            Y = y,
            YStride = yStride,
            N = n,
        };
        Run(pool, ref work, rows);
    }

    /// <summary><c>y[t, i] = (x[t, i] - mean) / sqrt(var + eps) * weight[i] + bias[i]</c>, variance over n.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="x">Rows, [rows × n].</param>
    /// <param name="xStride">Distance between two rows of <paramref name="x"/> in elements.</param>
    /// <param name="weight">[n].</param>
    /// <param name="bias">[n], or null for none.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <param name="y">Output, [rows × n].</param>
    /// <param name="yStride">Distance between two rows of <paramref name="y"/> in elements.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="n">Elements a row.</param>
    public static void Layer(
        WorkerPool pool, float* x, nint xStride, float* weight, float* bias, float eps, float* y, nint yStride,
        int rows, int n)
    {
        NormWork work = new()
        {
            IsLayer = true,
            X = x,
            XStride = xStride,
            Weight = weight,
            Bias = bias,
            Eps = eps,
            Y = y,
            YStride = yStride,
            N = n,
        };
        Run(pool, ref work, rows);
    }

    private static void Run(WorkerPool pool, ref NormWork work, int rows)
    {
        // Waking helpers costs more than a few short rows.
        if ((long)rows * work.N < 32768)
            work.Execute(0, rows, 0);
        else
            pool.Run(ref work, rows);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RmsRow<T>(in NormWork work, float* x, float* gate, float* y)
        where T : struct, IVec16<T>
    {
        float scale = 1 / MathF.Sqrt((Vec.Dot<T>(x, x, work.N) / work.N) + work.Eps);
        if (work.Weight == null)
            Elementwise.Map<ScaleMap, T>(new ScaleMap(scale), x, y, work.N);
        else
            Elementwise.Map<ScaleWeightMap, T>(new ScaleWeightMap(scale, work.Offset), x, work.Weight, y, work.N);
        if (gate != null)
            Elementwise.Map<MultiplySiluMap, T>(default, y, gate, y, work.N);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void LayerRow<T>(in NormWork work, float* x, float* y)
        where T : struct, IVec16<T>
    {
        int n = work.N;
        float mean = Vec.Sum<T>(x, n) / n;
        T center = T.Create(mean);
        int whole = n & ~15;
        T last = whole < n ? VecTail.Load<T>(x + whole, n - whole) : T.Zero;
        T squares = T.Zero;
        for (int i = 0; i < whole; i += 16)
        {
            T difference = T.Load(x + i) - center;
            squares = T.Fma(difference, difference, squares);
        }

        if (whole < n)
        {
            T difference = (last - center) & VecTail.Mask<T>(n - whole);
            squares = T.Fma(difference, difference, squares);
        }

        float scale = 1 / MathF.Sqrt((T.Sum(squares) / n) + work.Eps);
        Elementwise.Map<CenterMap, T>(new CenterMap(mean, scale), x, work.Weight, y, n);
        if (work.Bias != null)
            Elementwise.Map<AddMap, T>(default, y, work.Bias, y, n);
    }

    private struct NormWork : IWork
    {
        public bool IsLayer;
        public float* X, Weight, Bias, Gate, Y;
        public nint XStride, GateStride, YStride;
        public float Offset, Eps;
        public int N;

        public void Execute(int begin, int end, int worker)
        {
            RowsKernel kernel = new() { Work = this, Begin = begin, End = end };
            Simd.Run(ref kernel);
        }
    }

    private struct RowsKernel : IVecKernel
    {
        public NormWork Work;
        public int Begin, End;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            for (int row = Begin; row < End; row++)
            {
                float* x = Work.X + (row * Work.XStride);
                float* y = Work.Y + (row * Work.YStride);
                if (Work.IsLayer)
                    LayerRow<T>(Work, x, y);
                else
                    RmsRow<T>(Work, x, Work.Gate == null ? null : Work.Gate + (row * Work.GateStride), y);
            }
        }
    }

    private readonly struct ScaleMap(float scale) : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => x * T.Create(scale);
    }

    private readonly struct ScaleWeightMap(float scale, float offset) : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => a * T.Create(scale) * (b + T.Create(offset));
    }

    private readonly struct MultiplySiluMap : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => a * VecMath.Silu(b);
    }

    private readonly struct CenterMap(float mean, float scale) : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => (a - T.Create(mean)) * T.Create(scale) * b;
    }

    private readonly struct AddMap : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => a + b;
    }
}
