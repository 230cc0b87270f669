using MoeKernels.Cpu;

namespace MoeKernels.Measuring;

/// <summary>How far a benchmark is.</summary>
/// <param name="Step">What is being done.</param>
/// <param name="Done">Parts of the step that are over.</param>
/// <param name="Total">Parts of the step.</param>
public readonly record struct BenchmarkProgress(string Step, int Done, int Total);

/// <summary>Measures kernels and models on this machine. What is compared is run in turn, round after round, so that a
/// disturbance meets all of it; figures are medians.</summary>
public static class MoeBenchmark
{
    /// <summary>Largest extent of a matrix, number of tokens and of matrices in a call.</summary>
    private const int MaxExtent = CodebookShape.MaxExtent;

    /// <summary>Times products with matrices of random weights beside a plain read of the same bytes.</summary>
    /// <param name="options">What to time.</param>
    /// <param name="progress">Receives the rounds.</param>
    /// <param name="cancellationToken">Checked between rounds.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive or too large.</exception>
    /// <exception cref="MoeOutOfMemoryException">The matrices do not fit the memory.</exception>
    /// <exception cref="MoeUnsupportedException">There is no benchmark of that layout.</exception>
    public static Task<KernelBenchmarkResult> KernelAsync(
        KernelBenchmarkOptions options,
        IProgress<BenchmarkProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        Check(options.Rows, MaxExtent, nameof(options.Rows));
        Check(options.Columns, MaxExtent, nameof(options.Columns));
        Check(options.Tokens, 1 << 16, nameof(options.Tokens));
        Check(options.Share, 1 << 12, nameof(options.Share));
        Check(options.Rounds, 1 << 16, nameof(options.Rounds));
        ArgumentOutOfRangeException.ThrowIfNegative(options.RotateBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.RotateBytes, 1L << 46);
        ArgumentOutOfRangeException.ThrowIfNegative(options.Threads);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Threads, WorkerPool.MaxThreads);
        return Task.Run(
            () =>
            {
                using var benchmark = new KernelBenchmark(options);
                return benchmark.Run(progress, cancellationToken);
            },
            cancellationToken);
    }

    /// <summary>Loads a model and measures prefill, decode and memory.</summary>
    /// <param name="path">Model folder.</param>
    /// <param name="options">Lengths and repetitions; null: the defaults.</param>
    /// <param name="progress">Receives the steps.</param>
    /// <param name="cancellationToken">Checked while loading and between layers.</param>
    /// <exception cref="MoeFormatException">The folder holds no readable model.</exception>
    /// <exception cref="MoeUnsupportedException">The model asks for something this library does not do.</exception>
    /// <exception cref="ArgumentException">A length is not positive or beyond the model's context.</exception>
    /// <remarks>Resident memory is the peak of the whole process: meaningful in a process that does nothing
    /// else.</remarks>
    public static Task<ModelBenchmarkResult> ModelAsync(
        string path,
        ModelBenchmarkOptions? options = null,
        IProgress<BenchmarkProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new ModelBenchmarkOptions();
        Check(options.Rounds, 1 << 16, nameof(options.Rounds));
        Check(options.DecodeTokens, MaxExtent, nameof(options.DecodeTokens));
        return new ModelBenchmark(path, options, progress, cancellationToken).RunAsync();
    }

    private static void Check(int value, int most, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, 1, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, most, name);
    }
}
