using MoeKernels.Benchmarks.Reporting;
using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks;

/// <summary>Decode's product of one token with bf16 matrices beside a plain read of the same bytes, in turn.</summary>
internal static unsafe class MatVecComparison
{
    public const string Name = "matvec";

    public static void Run(BenchmarkRun run)
    {
        using (DecodeComparison decode = new())
            decode.Run(run);
        foreach ((int rows, int columns) in new[] { (768, 2048), (2048, 768), (14336, 4096) })
        {
            using RotatingMatrices matrices = new(WeightFormat.BF16, rows, columns);
            foreach (int threads in run.ThreadCounts)
            {
                using WorkerPool pool = new(threads);
                Run(run, pool, matrices, $"bf16 {rows} × {columns}");
            }
        }
    }

    private static void Run(BenchmarkRun run, WorkerPool pool, RotatingMatrices matrices, string name)
    {
        (int rows, int columns) = (matrices.Views[0].Rows, matrices.Views[0].Columns);
        using NativeBuffer x = NativeBuffer.Allocate(columns * sizeof(float), "x");
        using NativeBuffer y = NativeBuffer.Allocate(rows * sizeof(float), "y");
        new Span<float>(x.Pointer, columns).Fill(0.5f);
        var times = Interleaved.Measure(
            run.Quick ? 3 : 15,
            pool.Threads,
            () => PlainRead.Run(pool, matrices.Memory, matrices.TotalBytes),
            () =>
            {
                for (int i = 0; i < matrices.Count; i++)
                {
                    Linear.Forward(
                        pool, matrices.Views[i], null, (float*)x.Pointer, columns, 1, (float*)y.Pointer, rows);
                }
            },
            () => PlainRead.RunStreams(pool, matrices.Memory, matrices.TotalBytes));
        Report(run, name, pool.Threads, matrices.TotalBytes / 1e9, times);
    }

    /// <summary>Adds plain read, products and read in four streams, in this order.</summary>
    public static void Report(
        BenchmarkRun run, string name, int threads, double gigabytes, (double Seconds, double Ratio)[] times)
    {
        run.Add(Name, name, threads, "plain read", gigabytes / times[0].Seconds, "GB/s");
        run.Add(Name, name, threads, "matvec", gigabytes / times[1].Seconds, "GB/s");
        run.Add(Name, name, threads, "matvec / plain read", times[1].Ratio, string.Empty, Target.AtLeast(0.9));
        run.Add(Name, name, threads, "read in four streams", gigabytes / times[2].Seconds, "GB/s");
        run.Add(
            Name, name, threads, "matvec / read in four streams", times[1].Ratio / times[2].Ratio, string.Empty);
    }
}
