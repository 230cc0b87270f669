namespace MoeKernels.Cpu;

/// <summary>Dense projections <c>y = W x + b</c> for every weight format.</summary>
/// <remarks>
/// Each dot product has 16 partial sums by k mod 16, ascending in k with fused multiply-add, then a fixed tree; one token
/// and many tokens, any width and any thread count therefore give the same bits.
/// </remarks>
internal static unsafe class Linear
{
    /// <summary>Computes <c>y[t, r] = bias[r] + Σk w[r, k] x[t, k]</c>.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="w">W, [rows × columns].</param>
    /// <param name="bias">[rows], or null for none.</param>
    /// <param name="x">Input, [tokens × columns]; nothing behind a row's last column is read.</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens, 0 allowed.</param>
    /// <param name="y">Output, [tokens × rows]; must not overlap <paramref name="x"/>.</param>
    /// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
    public static void Forward(
        WorkerPool pool, in WeightMatrix w, float* bias, float* x, nint xStride, int tokens, float* y, nint yStride)
    {
        LinearPart part = new(w, bias, y, yStride);
        Forward(pool, &part, 1, x, xStride, tokens);
    }

    /// <summary>Multiplies several matrices with the same input in one parallel region (q, k, v or gate, up).</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="parts">The matrices, all with the same number of columns.</param>
    /// <param name="count">Number of matrices.</param>
    /// <param name="x">Input, [tokens × columns].</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens.</param>
    public static void Forward(WorkerPool pool, LinearPart* parts, int count, float* x, nint xStride, int tokens)
    {
        for (int i = 0; i < count; i++)
        {
            for (int t = 0; t < tokens; t++)
            {
                for (int r = 0; r < parts[i].Weights.Rows; r++)
                {
                    float sum = Canonical(parts[i].Weights, r, x + (t * xStride));
                    parts[i].Y[(t * parts[i].YStride) + r] = parts[i].Bias == null ? sum : sum + parts[i].Bias[r];
                }
            }
        }
    }

    /// <summary>Computes <c>y[t, c] = Σr x[t, r] w[r, c]</c>, one fused multiply-add chain ascending in r per output.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="w">W, [rows × columns].</param>
    /// <param name="x">Input, [tokens × rows].</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="y">Output, [tokens × columns].</param>
    /// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
    public static void ForwardTransposed(
        WorkerPool pool, in WeightMatrix w, float* x, nint xStride, int tokens, float* y, nint yStride) =>
        ForwardTransposedHeads(pool, w, 1, w.Rows, w.Rows, x, xStride, 0, tokens, y, yStride, 0);

    /// <summary>Computes, for each head h whose rows start at <c>h * headStride</c>,
    /// <c>y[t, h, c] = Σr x[t, h, r] w[h * headStride + r, c]</c> (MLA: queries into the latent space).</summary>
    public static void ForwardTransposedHeads(
        WorkerPool pool, in WeightMatrix w, int heads, int headStride, int headRows,
        float* x, nint xStride, nint xHeadStride, int tokens, float* y, nint yStride, nint yHeadStride)
    {
        for (int t = 0; t < tokens; t++)
        {
            for (int h = 0; h < heads; h++)
            {
                float* yRow = y + (t * yStride) + (h * yHeadStride);
                float* xRow = x + (t * xStride) + (h * xHeadStride);
                for (int c = 0; c < w.Columns; c++)
                {
                    float sum = 0;
                    for (int r = 0; r < headRows; r++)
                        sum = MathF.FusedMultiplyAdd(xRow[r], WeightElement.Get(w, (h * headStride) + r, c), sum);
                    yRow[c] = sum;
                }
            }
        }
    }

    /// <summary>Computes, for each head h whose rows start at <c>h * headStride</c>,
    /// <c>y[t, h, r] = Σk w[h * headStride + r, k] x[t, h, k]</c> (MLA: attended latents to values).</summary>
    public static void ForwardHeads(
        WorkerPool pool, in WeightMatrix w, int heads, int headStride, int headRows,
        float* x, nint xStride, nint xHeadStride, int tokens, float* y, nint yStride, nint yHeadStride)
    {
        for (int h = 0; h < heads; h++)
        {
            Forward(pool, w.Slice(h * headStride, headRows), null, x + (h * xHeadStride), xStride, tokens,
                y + (h * yHeadStride), yStride);
        }
    }

    internal static float Canonical(in WeightMatrix w, int row, float* x)
    {
        float* sums = stackalloc float[16];
        for (int j = 0; j < 16; j++)
            sums[j] = 0;
        int padded = (w.Columns + 15) & ~15;
        for (int k = 0; k < padded; k++)
        {
            bool inside = k < w.Columns;
            sums[k & 15] = MathF.FusedMultiplyAdd(
                inside ? WeightElement.Get(w, row, k) : 0, inside ? x[k] : 0, sums[k & 15]);
        }

        return Tree(sums);
    }

    internal static float Tree(float* s)
    {
        for (int width = 8; width > 0; width >>= 1)
        {
            for (int j = 0; j < width; j++)
                s[j] += s[j + width];
        }

        return s[0];
    }
}
