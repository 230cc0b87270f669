namespace MoeKernels.Cpu;

/// <summary>Normalisations of rows, with canonical sums. A destination may be its source.</summary>
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
        int rows, int n) => Rms(pool, x, xStride, weight, offset, eps, null, 0, y, yStride, rows, n);

    /// <summary>RMS norm followed by a gate (Qwen3-Next): <c>y = rms(x) * weight * silu(gate)</c>.</summary>
    public static void RmsGated(
        WorkerPool pool, float* x, nint xStride, float* weight, float eps, float* gate, nint gateStride, float* y,
        nint yStride, int rows, int n) => Rms(pool, x, xStride, weight, 0, eps, gate, gateStride, y, yStride, rows, n);

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
        for (int t = 0; t < rows; t++)
        {
            double mean = 0, square = 0;
            for (int i = 0; i < n; i++)
                mean += x[(t * xStride) + i];
            mean /= n;
            for (int i = 0; i < n; i++)
                square += (x[(t * xStride) + i] - mean) * (x[(t * xStride) + i] - mean);
            float scale = 1 / MathF.Sqrt((float)(square / n) + eps);
            for (int i = 0; i < n; i++)
            {
                y[(t * yStride) + i] = ((x[(t * xStride) + i] - (float)mean) * scale * weight[i])
                    + (bias == null ? 0 : bias[i]);
            }
        }
    }

    private static void Rms(
        WorkerPool pool, float* x, nint xStride, float* weight, float offset, float eps, float* gate, nint gateStride,
        float* y, nint yStride, int rows, int n)
    {
        for (int t = 0; t < rows; t++)
        {
            double square = 0;
            for (int i = 0; i < n; i++)
                square += (double)x[(t * xStride) + i] * x[(t * xStride) + i];
            float scale = 1 / MathF.Sqrt((float)(square / n) + eps);
            for (int i = 0; i < n; i++)
            {
                float value = x[(t * xStride) + i] * scale * (weight == null ? 1 : weight[i] + offset);
                if (gate != null)
                    value *= gate[(t * gateStride) + i] / (1 + MathF.Exp(-gate[(t * gateStride) + i]));
                y[(t * yStride) + i] = value;
            }
        }
    }
}
