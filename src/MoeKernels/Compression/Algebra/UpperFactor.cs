namespace MoeKernels.Compression;

/// <summary>
/// The factor that quantisation needs: <c>H = M Mᵀ</c> with M upper triangular, and the solves with it.
/// </summary>
/// <remarks>
/// M is the inverse of GPTQ's factor: with <c>H⁻¹ = Uᵀ U</c>, U upper triangular, <c>U = M⁻¹</c>. The error of a row is
/// <c>|(w - q) M|²</c> and column j of M touches rows 0 ... j only, so what is decided first is known first: GPTQ needs
/// neither an inverse nor a second factorisation. Everything is cut in halves until blocks are small (the recursive
/// algorithms of Elmroth and Gustavson), so that nearly all work is <see cref="Gemm"/>. All matrices are row by row.
/// </remarks>
internal static unsafe class UpperFactor
{
    /// <summary>Largest block that plain loops handle.</summary>
    private const int Small = 32;

    /// <summary>Replaces the upper triangle of H by M; what is below the diagonal is neither read nor kept.</summary>
    /// <param name="h">[n × n], symmetric.</param>
    /// <param name="stride">Distance of two rows.</param>
    /// <param name="n">Rows.</param>
    /// <param name="scratch">Working memory.</param>
    /// <returns>-1, or the row whose pivot is not positive: H is then singular, indefinite or not finite and its
    /// content is lost.</returns>
    public static int Factor(float* h, nint stride, int n, Scratch scratch)
    {
        if (n <= Small)
            return FactorSmall(h, stride, n);

        int half = Half(n);
        float* right = h + half;
        float* last = right + (half * stride);
        int bad = Factor(last, stride, n - half, scratch);
        if (bad >= 0)
            return half + bad;

        SolveTransposed(right, stride, half, last, stride, n - half, scratch);
        MatrixView x = new(right, stride);
        Gemm.Add(-1, x, x.Transposed, h, stride, half, half, n - half, scratch, upper: true);
        return Factor(h, stride, half, scratch);
    }

    /// <summary>Sets everything below the diagonal to zero.</summary>
    public static void ClearLower(float* m, nint stride, int n)
    {
        for (int i = 1; i < n; i++)
            new Span<float>(m + (i * stride), i).Clear();
    }

    /// <summary>Replaces B by <c>X = B M⁻¹</c>.</summary>
    /// <param name="b">[rows × n].</param>
    /// <param name="bStride">Distance of two rows of B.</param>
    /// <param name="rows">Rows of B.</param>
    /// <param name="m">M, [n × n], upper triangular; not read below the diagonal.</param>
    /// <param name="mStride">Distance of two rows of M.</param>
    /// <param name="n">Rows of M.</param>
    /// <param name="scratch">Working memory.</param>
    public static void Solve(float* b, nint bStride, int rows, float* m, nint mStride, int n, Scratch scratch)
    {
        if (n <= Small)
        {
            SolveSmall(b, bStride, rows, m, mStride, n, transposed: false, scratch);
            return;
        }

        int half = Half(n);
        Solve(b, bStride, rows, m, mStride, half, scratch);
        Gemm.Add(
            -1, new(b, bStride), new(m + half, mStride), b + half, bStride, rows, n - half, half, scratch);
        Solve(b + half, bStride, rows, m + (half * mStride) + half, mStride, n - half, scratch);
    }

    /// <summary>Replaces B by <c>X = B M⁻ᵀ</c>; parameters as in <see cref="Solve"/>.</summary>
    public static void SolveTransposed(
        float* b, nint bStride, int rows, float* m, nint mStride, int n, Scratch scratch)
    {
        if (n <= Small)
        {
            SolveSmall(b, bStride, rows, m, mStride, n, transposed: true, scratch);
            return;
        }

        int half = Half(n);
        SolveTransposed(b + half, bStride, rows, m + (half * mStride) + half, mStride, n - half, scratch);
        MatrixView corner = new(m + half, mStride);
        Gemm.Add(-1, new(b + half, bStride), corner.Transposed, b, bStride, rows, half, n - half, scratch);
        SolveTransposed(b, bStride, rows, m, mStride, half, scratch);
    }

    /// <summary>Replaces M by its inverse, GPTQ's factor U; what is below the diagonal is left alone.</summary>
    /// <param name="m">[n × n], upper triangular.</param>
    /// <param name="stride">Distance of two rows.</param>
    /// <param name="n">Rows.</param>
    /// <param name="scratch">Working memory.</param>
    public static void Invert(float* m, nint stride, int n, Scratch scratch)
    {
        if (n <= Small)
        {
            float* inverse = stackalloc float[Small * Small];
            InvertSmall(m, stride, n, inverse);
            for (int i = 0; i < n; i++)
                new Span<float>(inverse + (i * n) + i, n - i).CopyTo(new Span<float>(m + (i * stride) + i, n - i));
            return;
        }

        // The corner becomes -M1⁻¹ M12 M2⁻¹: first the right factor with M2 itself, then the left one with its inverse.
        int half = Half(n);
        float* corner = m + half;
        float* last = corner + (half * stride);
        Solve(corner, stride, half, last, stride, n - half, scratch);
        Invert(m, stride, half, scratch);
        Invert(last, stride, n - half, scratch);
        using Scratch.Frame frame = scratch.Begin();
        float* left = scratch.Zeros((long)half * half);
        for (int i = 0; i < half; i++)
            Copy(m + (i * stride) + i, left + (i * half) + i, half - i);
        float* product = scratch.Zeros((long)half * (n - half));
        Gemm.Add(-1, new(left, half), new(corner, stride), product, n - half, half, n - half, half, scratch);
        for (int i = 0; i < half; i++)
            Copy(product + (i * (n - half)), corner + (i * stride), n - half);
    }

    private static int FactorSmall(float* h, nint stride, int n)
    {
        for (int j = n - 1; j >= 0; j--)
        {
            float* row = h + (j * stride);
            double pivot = row[j];
            for (int k = j + 1; k < n; k++)
                pivot -= (double)row[k] * row[k];
            if (!(pivot > 0) || !double.IsFinite(pivot))
                return j;

            double diagonal = Math.Sqrt(pivot);
            row[j] = (float)diagonal;
            for (int i = 0; i < j; i++)
            {
                float* other = h + (i * stride);
                double sum = other[j];
                for (int k = j + 1; k < n; k++)
                    sum -= (double)other[k] * row[k];
                other[j] = (float)(sum / diagonal);
            }
        }

        return -1;
    }

    /// <summary>Multiplies by the inverse of a small block.</summary>
    private static void SolveSmall(
        float* b, nint bStride, int rows, float* m, nint mStride, int n, bool transposed, Scratch scratch)
    {
        float* inverse = stackalloc float[Small * Small];
        InvertSmall(m, mStride, n, inverse);
        MatrixView factor = new(inverse, n);
        using Scratch.Frame frame = scratch.Begin();
        float* x = scratch.Zeros((long)rows * n);
        Gemm.Add(1, new(b, bStride), transposed ? factor.Transposed : factor, x, n, rows, n, n, scratch);
        for (int i = 0; i < rows; i++)
            Copy(x + (i * n), b + (i * bStride), n);
    }

    /// <summary>The inverse of an upper triangular block, [n × n] with zeros below the diagonal.</summary>
    private static void InvertSmall(float* m, nint stride, int n, float* inverse)
    {
        new Span<float>(inverse, n * n).Clear();
        for (int j = 0; j < n; j++)
        {
            inverse[(j * n) + j] = (float)(1.0 / m[(j * stride) + j]);
            for (int i = j - 1; i >= 0; i--)
            {
                double sum = 0;
                for (int k = i + 1; k <= j; k++)
                    sum += (double)m[(i * stride) + k] * inverse[(k * n) + j];
                inverse[(i * n) + j] = (float)(-sum / m[(i * stride) + i]);
            }
        }
    }

    /// <summary>Half of the rows, in whole small blocks.</summary>
    private static int Half(int n) => (n / 2 + Small - 1) / Small * Small;

    private static void Copy(float* source, float* target, int count) =>
        new Span<float>(source, count).CopyTo(new Span<float>(target, count));
}
