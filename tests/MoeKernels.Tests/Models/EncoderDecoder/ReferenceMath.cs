namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>Plain double-precision building blocks over [rows][columns], independent of the library.</summary>
internal static class ReferenceMath
{
    public static double[][] Linear(double[][] x, double[][] w, double[]? bias = null) =>
        [.. x.Select(row => w.Select((wr, j) => Dot(row, wr) + (bias?[j] ?? 0)).ToArray())];

    public static double[][] Add(double[][] a, double[][] b) =>
        [.. a.Zip(b, (x, y) => x.Zip(y, (u, v) => u + v).ToArray())];

    public static double[][] Rms(double[][] x, double[] w, double eps) => [.. x.Select(row =>
    {
        double scale = 1 / Math.Sqrt((Dot(row, row) / row.Length) + eps);
        return row.Zip(w, (v, g) => v * scale * g).ToArray();
    })];

    public static double[][] LayerNorm(double[][] x, double[] w, double[] b, double eps) => [.. x.Select(row =>
    {
        double mean = row.Average();
        double scale = 1 / Math.Sqrt(row.Average(v => (v - mean) * (v - mean)) + eps);
        return row.Select((v, i) => ((v - mean) * scale * w[i]) + b[i]).ToArray();
    })];

    public static double Gelu(double x) => 0.5 * x * (1 + Erf(x / Math.Sqrt(2)));

    public static double GeluTanh(double x) =>
        0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x))));

    public static double Silu(double x) => x / (1 + Math.Exp(-x));

    public static double[] Softmax(double[] x)
    {
        double max = x.Max();
        double[] e = [.. x.Select(v => Math.Exp(v - max))];
        double sum = e.Sum();
        return [.. e.Select(v => v / sum)];
    }

    /// <summary>Attention of one sequence: all heads, every query row over the keys it may see.</summary>
    public static double[][] Attend(
        double[][] q, double[][] k, double[][] v, int heads, double scale,
        Func<int, int, bool> sees, Func<int, int, int, double>? bias = null)
    {
        int dim = q[0].Length / heads;
        return [.. q.Select((row, i) => Enumerable.Range(0, heads).SelectMany(h =>
        {
            int[] keys = [.. Enumerable.Range(0, k.Length).Where(j => sees(i, j))];
            double[] scores = [.. keys.Select(j =>
                (scale * Dot(Head(row, h, dim), Head(k[j], h, dim))) + (bias?.Invoke(h, i, j) ?? 0))];
            double[] weights = Softmax(scores);
            return Enumerable.Range(0, dim).Select(d => keys.Select((j, n) => weights[n] * v[j][(h * dim) + d]).Sum());
        }).ToArray())];
    }

    private static ReadOnlySpan<double> Head(double[] row, int head, int dim) => row.AsSpan(head * dim, dim);

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
            sum += a[i] * b[i];
        return sum;
    }

    /// <summary>The series of erf: exact enough for the moderate arguments of a test.</summary>
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 5)
            return Math.Sign(x);
        double term = x, sum = x;
        for (int n = 1; n < 120; n++)
        {
            term *= -x * x / n;
            sum += term / ((2 * n) + 1);
        }

        return 2 / Math.Sqrt(Math.PI) * sum;
    }
}
