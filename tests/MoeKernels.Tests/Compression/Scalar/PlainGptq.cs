namespace MoeKernels.Tests.Compression.Scalar;

/// <summary>GPTQ as the paper writes it, in double precision: round a column, spread its error, remove the column from
/// the inverse Hessian by elimination. No blocks, no factors.</summary>
internal static class PlainGptq
{
    /// <summary>Codes of a matrix whose levels a run has fitted, one group per row, columns in order.</summary>
    public static byte[] Codes(
        float[] weights, int rows, int columns, float[] hessian, float damping, ScalarRun run)
    {
        double[,] inverse = Invert(Damped(hessian, columns, damping), columns);
        double[] w = Array.ConvertAll(weights, value => (double)value);
        var codes = new byte[w.Length];
        for (int i = 0; i < columns; i++)
        {
            for (int row = 0; row < rows; row++)
            {
                ref double weight = ref w[(row * columns) + i];
                codes[(row * columns) + i] = run.Nearest(row, weight, out double value);
                double error = (weight - value) / inverse[i, i];
                for (int j = i + 1; j < columns; j++)
                    w[(row * columns) + j] -= error * inverse[i, j];
            }

            for (int a = i + 1; a < columns; a++)
            {
                double factor = inverse[a, i] / inverse[i, i];
                for (int b = i + 1; b < columns; b++)
                    inverse[a, b] -= factor * inverse[i, b];
            }
        }

        return codes;
    }

    private static double[,] Damped(float[] hessian, int n, float damping)
    {
        double mean = Enumerable.Range(0, n).Average(i => (double)hessian[(i * n) + i]);
        var damped = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
                damped[i, j] = hessian[(i * n) + j] + (i == j ? Math.Max(damping * mean, 1e-6) : 0);
        }

        return damped;
    }

    /// <summary>Gauss-Jordan without pivoting, which positive definite matrices do not need.</summary>
    private static double[,] Invert(double[,] a, int n)
    {
        for (int k = 0; k < n; k++)
        {
            double pivot = a[k, k];
            a[k, k] = 1;
            for (int j = 0; j < n; j++)
                a[k, j] /= pivot;
            for (int i = 0; i < n; i++)
            {
                if (i == k)
                    continue;
                double factor = a[i, k];
                a[i, k] = 0;
                for (int j = 0; j < n; j++)
                    a[i, j] -= factor * a[k, j];
            }
        }

        return a;
    }
}
