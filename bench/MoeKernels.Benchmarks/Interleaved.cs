using System.Diagnostics;
using System.Globalization;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks;

/// <summary>The ratio of matvec to plain read, timed in turn, round after round, so that a disturbance of the machine
/// meets both. BenchmarkDotNet measures one method after the other and cannot do that.</summary>
internal static unsafe class Interleaved
{
    private const int Rounds = 15;

    /// <summary>Prints a Markdown table.</summary>
    public static void Run(TextWriter output)
    {
        output.WriteLine("| threads | rows x columns | plain read GB/s | matvec GB/s | median ratio |");
        output.WriteLine("|---|---|---|---|---|");
        foreach (int threads in (int[])[1, 2])
        {
            using WorkerPool pool = new(threads);
            foreach ((int rows, int columns) in new[] { (768, 2048), (2048, 768), (14336, 4096) })
            {
                using RotatingMatrices matrices = new(WeightFormat.BF16, rows, columns);
                (double read, double matvec, double ratio) = Measure(pool, matrices, rows, columns);
                output.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {threads} | {rows} x {columns} | {read:F1} | {matvec:F1} | {ratio:F3} |"));
            }
        }
    }

    private static (double Read, double MatVec, double Ratio) Measure(
        WorkerPool pool, RotatingMatrices matrices, int rows, int columns)
    {
        using NativeBuffer x = NativeBuffer.Allocate(columns * sizeof(float), "x");
        using NativeBuffer y = NativeBuffer.Allocate(rows * sizeof(float), "y");
        new Span<float>(x.Pointer, columns).Fill(0.5f);
        double[] reads = new double[Rounds], products = new double[Rounds], ratios = new double[Rounds];
        for (int round = -2; round < Rounds; round++)
        {
            double read = Seconds(() => PlainRead.Run(pool, matrices.Memory, matrices.TotalBytes));
            double product = Seconds(() =>
            {
                for (int i = 0; i < matrices.Count; i++)
                {
                    Linear.Forward(
                        pool, matrices.Views[i], null, (float*)x.Pointer, columns, 1, (float*)y.Pointer, rows);
                }
            });
            if (round >= 0)
                (reads[round], products[round], ratios[round]) = (read, product, read / product);
        }

        double gigabytes = matrices.TotalBytes / 1e9;
        return (gigabytes / Median(reads), gigabytes / Median(products), Median(ratios));
    }

    private static double Seconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }
}
