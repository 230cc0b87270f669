namespace MoeKernels.Cpu;

/// <summary>Elementwise helpers over contiguous vectors; the same bits at every SIMD level. A destination may be a source.</summary>
internal static unsafe class Vec
{
    /// <summary><c>y[i] = x[i] * scale + y[i]</c>, fused.</summary>
    public static void AddScaled(float* y, float* x, float scale, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = MathF.FusedMultiplyAdd(scale, x[i], y[i]);
    }

    /// <summary><c>y[i] = a[i] + b[i]</c>.</summary>
    public static void Add(float* a, float* b, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = a[i] + b[i];
    }

    /// <summary><c>y[i] = a[i] * b[i]</c>.</summary>
    public static void Multiply(float* a, float* b, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = a[i] * b[i];
    }

    /// <summary><c>y[i] = x[i] * scale</c>.</summary>
    public static void Scale(float* x, float scale, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = x[i] * scale;
    }

    /// <summary><c>y[i] = x[i] * σ(gate[i])</c>.</summary>
    public static void MultiplySigmoid(float* x, float* gate, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = x[i] * (1 / (1 + MathF.Exp(-gate[i])));
    }

    /// <summary><c>y[i] = min(max(x[i], low), high)</c>; NaN stays NaN.</summary>
    public static void Clamp(float* x, float low, float high, float* y, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
    }

    /// <summary><c>Σ a[i] b[i]</c> in the canonical order.</summary>
    public static float Dot(float* a, float* b, int count) =>
        Linear.Canonical(new WeightMatrix(WeightFormat.F32, a, 1, count, 0), 0, b);

    /// <summary><c>Σ x[i]</c> in the canonical order.</summary>
    public static float Sum(float* x, int count)
    {
        float* sums = stackalloc float[16];
        new Span<float>(sums, 16).Clear();
        for (int i = 0; i < count; i++)
            sums[i & 15] += x[i];
        return Linear.Tree(sums);
    }
}
