namespace MoeKernels.Tests.Compression;

/// <summary>GPTQ with vectors as it is usually written, in double precision: factor of the inverse, errors fed to all
/// later columns at once.</summary>
internal static class PlainVectorGptq
{
    /// <summary>Codes of rows that are divided by their scales.</summary>
    /// <param name="w">[rows × K].</param>
    /// <param name="h">Damped Hessian, [K × K].</param>
    /// <param name="vectors">[stages × 128 × d].</param>
    /// <param name="d">Numbers of a vector; divides K.</param>
    /// <param name="stages">Stages.</param>
    public static (byte[] Codes, double[,] Q) Run(double[,] w, double[,] h, float[] vectors, int d, int stages)
    {
        (int rows, int n) = (w.GetLength(0), w.GetLength(1));
        double[,] u = UpperOfInverse(h);
        double[,] a = (double[,])w.Clone(), q = new double[rows, n];
        byte[] codes = new byte[rows * (n / d) * stages];
        for (int b = 0; b < n; b += d)
        {
            double[,] inverse = InverseUpper(u, b, d);
            double[][] metric = [.. Enumerable.Range(0, stages * 128).Select(
                v => Times([.. Enumerable.Range(0, d).Select(k => (double)vectors[(v * d) + k])], inverse, d))];
            for (int r = 0; r < rows; r++)
            {
                double[] left = [.. Enumerable.Range(0, d).Select(k => a[r, b + k])];
                for (int s = 0; s < stages; s++)
                {
                    double[] y = Times(left, inverse, d);
                    (int best, double score, double sign) = (0, double.NegativeInfinity, 1);
                    for (int v = 0; v < 128; v++)
                    {
                        double[] c = metric[(s * 128) + v];
                        double dot = Dot(y, c);
                        double own = Math.Abs(dot) - (Dot(c, c) / 2);
                        if (own > score)
                            (best, score, sign) = (v, own, dot < 0 ? -1 : 1);
                    }

                    codes[(((r * (n / d)) + (b / d)) * stages) + s] = (byte)(best + (sign < 0 ? 128 : 0));
                    for (int k = 0; k < d; k++)
                        left[k] -= sign * vectors[((((s * 128) + best) * d)) + k];
                }

                double[] error = Times(left, inverse, d);
                for (int k = 0; k < d; k++)
                    q[r, b + k] = a[r, b + k] - left[k];
                for (int c = b + d; c < n; c++)
                {
                    for (int k = 0; k < d; k++)
                        a[r, c] -= error[k] * u[b + k, c];
                }
            }
        }

        return (codes, q);
    }

    /// <summary>Sum over the rows of (w - q) H (w - q).</summary>
    public static double Loss(double[,] w, double[,] q, double[,] h)
    {
        double sum = 0;
        int n = w.GetLength(1);
        for (int r = 0; r < w.GetLength(0); r++)
        {
            for (int i = 0; i < n; i++)
            {
                double part = 0;
                for (int j = 0; j < n; j++)
                    part += h[i, j] * (w[r, j] - q[r, j]);
                sum += part * (w[r, i] - q[r, i]);
            }
        }

        return sum;
    }

    /// <summary>U, upper triangular, with inverse(H) = Uᵀ U.</summary>
    public static double[,] UpperOfInverse(double[,] h)
    {
        int n = h.GetLength(0);
        double[,] a = Inverse(h), u = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = i; j < n; j++)
            {
                double sum = a[i, j];
                for (int k = 0; k < i; k++)
                    sum -= u[k, i] * u[k, j];
                u[i, j] = i == j ? Math.Sqrt(sum) : sum / u[i, i];
            }
        }

        return u;
    }

    /// <summary>Gauss-Jordan without pivoting, for positive definite matrices.</summary>
    public static double[,] Inverse(double[,] matrix)
    {
        int n = matrix.GetLength(0);
        double[,] a = (double[,])matrix.Clone(), x = new double[n, n];
        for (int i = 0; i < n; i++)
            x[i, i] = 1;
        for (int p = 0; p < n; p++)
        {
            double pivot = a[p, p];
            for (int j = 0; j < n; j++)
                (a[p, j], x[p, j]) = (a[p, j] / pivot, x[p, j] / pivot);
            for (int i = 0; i < n; i++)
            {
                double factor = a[i, p];
                for (int j = 0; i != p && j < n; j++)
                    (a[i, j], x[i, j]) = (a[i, j] - (factor * a[p, j]), x[i, j] - (factor * x[p, j]));
            }
        }

        return x;
    }

    private static double[,] InverseUpper(double[,] u, int first, int d)
    {
        double[,] block = new double[d, d];
        for (int i = 0; i < d; i++)
        {
            for (int j = i; j < d; j++)
                block[i, j] = u[first + i, first + j];
        }

        return Inverse(block);
    }

    private static double[] Times(double[] row, double[,] matrix, int d)
    {
        double[] result = new double[d];
        for (int i = 0; i < d; i++)
        {
            for (int j = 0; j < d; j++)
                result[j] += row[i] * matrix[i, j];
        }

        return result;
    }

    private static double Dot(double[] x, double[] y) => x.Zip(y, (a, b) => a * b).Sum();
}
