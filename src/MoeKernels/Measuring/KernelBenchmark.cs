using MoeKernels.Cpu;
using MoeKernels.Planning;

namespace MoeKernels.Measuring;

/// <summary>What product to time.</summary>
public sealed record KernelBenchmarkOptions
{
    /// <summary>How the weights are stored.</summary>
    public required KernelLayout Layout { get; init; }

    /// <summary>Outputs of a matrix.</summary>
    public required int Rows { get; init; }

    /// <summary>Inputs of a matrix.</summary>
    public required int Columns { get; init; }

    /// <summary>Tokens multiplied at once.</summary>
    public int Tokens { get; init; } = 1;

    /// <summary>Worker threads; 0: the environment variable MOEK_THREADS, else all processors.</summary>
    public int Threads { get; init; }

    /// <summary>Matrices that are multiplied with the same input in one call, as the experts of a layer are; they
    /// share what is computed from the input.</summary>
    public int Share { get; init; } = 1;

    /// <summary>Bytes of matrices that are used in turn: more than the caches hold, and weights come from memory. 0
    /// uses one matrix over and over, from the cache.</summary>
    public long RotateBytes { get; init; } = 272L << 20;

    /// <summary>Rounds that count.</summary>
    public int Rounds { get; init; } = 15;

    /// <summary>Most seconds to run before the rounds; it ends as soon as nothing gets faster.</summary>
    public double MaxWarmUpSeconds { get; init; } = 6;
}

/// <summary>What a product reached; rates are medians over the rounds.</summary>
public sealed record KernelBenchmarkResult
{
    /// <summary>What was timed, threads resolved.</summary>
    public required KernelBenchmarkOptions Options { get; init; }

    /// <summary>Instruction set of the kernels.</summary>
    public required string KernelSet { get; init; }

    /// <summary>Model name of the processor.</summary>
    public required string Processor { get; init; }

    /// <summary>Matrices in memory.</summary>
    public required int Matrices { get; init; }

    /// <summary>Bytes of one matrix, scales included.</summary>
    public required long MatrixBytes { get; init; }

    /// <summary>Time spent before the rounds, until nothing got faster any more.</summary>
    public required double WarmUpSeconds { get; init; }

    /// <summary>Seconds of one call, which multiplies <see cref="KernelBenchmarkOptions.Share"/> matrices.</summary>
    public required double SecondsPerCall { get; init; }

    /// <summary>Products of a weight and a token's input per second, everything computed from the input
    /// included.</summary>
    public required double WeightsPerSecond { get; init; }

    /// <summary>Bytes of matrices passed through per second.</summary>
    public required double BytesPerSecond { get; init; }

    /// <summary>Bytes per second of a loop that only reads the same memory, in one stream a thread, in the same
    /// rounds.</summary>
    public required double PlainReadBytesPerSecond { get; init; }

    /// <summary>The same in four streams a thread, the fastest way known.</summary>
    public required double FastestReadBytesPerSecond { get; init; }

    /// <summary>Median over the rounds of the product's speed against the plain read of the same round.</summary>
    public required double OfPlainRead { get; init; }

    /// <summary>Bits per weight, row scales and padding included.</summary>
    public double BitsPerWeight => 8.0 * MatrixBytes / ((double)Options.Rows * Options.Columns);
}

/// <summary>Times <see cref="Linear"/> on random matrices beside a plain read of them.</summary>
internal sealed unsafe class KernelBenchmark : IDisposable
{
    /// <summary>A round of each alternative takes at least this long, so that the clock does not matter.</summary>
    private const double MinRoundSeconds = 0.02;

    private readonly KernelBenchmarkOptions _options;
    private readonly RotatingMatrices _matrices;
    private readonly WorkerPool _pool;
    private readonly NativeBuffer _x;
    private readonly NativeBuffer _y;

    public KernelBenchmark(KernelBenchmarkOptions options)
    {
        _options = options;
        _matrices = options.Layout.Create(options.Rows, options.Columns, Math.Max(options.RotateBytes, 1));
        _pool = new WorkerPool(options.Threads);
        _x = NativeBuffer.Allocate(sizeof(float) * (long)options.Tokens * options.Columns, "inputs");
        _y = NativeBuffer.Allocate(sizeof(float) * (long)options.Tokens * options.Rows * options.Share, "outputs");
        var random = new Random(1);
        for (long i = 0; i < (long)options.Tokens * options.Columns; i++)
        {
            ((float*)_x.Pointer)[i] = random.NextSingle() - 0.5f;
        }
    }

    public KernelBenchmarkResult Run(IProgress<BenchmarkProgress>? progress, CancellationToken cancellationToken)
    {
        progress?.Report(new BenchmarkProgress("warming up", 0, 1));
        long readBytes = _matrices.TotalBytes;
        var (warmUp, pass) = WarmUp.Run(Pass, _options.MaxWarmUpSeconds, cancellationToken);
        var (readWarmUp, read) = WarmUp.Run(Read, _options.MaxWarmUpSeconds, cancellationToken);
        int passes = Repetitions(pass);
        int reads = Repetitions(read);
        int total = Interleaved.WarmUpRounds + _options.Rounds;
        var times = Interleaved.Measure(
            _options.Rounds, Interleaved.WarmUpRounds, _pool.Threads,
            round =>
            {
                cancellationToken.ThrowIfCancellationRequested();
                progress?.Report(new BenchmarkProgress("rounds", round, total));
            },
            () => Repeat(reads, Read),
            () => Repeat(reads, () => PlainRead.RunStreams(_pool, _matrices.Memory, readBytes)),
            () => Repeat(passes, Pass));
        double bytes = (double)_matrices.MatrixBytes * Calls * _options.Share * passes;
        return new KernelBenchmarkResult
        {
            Options = _options with { Threads = _pool.Threads },
            KernelSet = KernelSets.Name,
            Processor = ProcessorInfo.Name,
            Matrices = _matrices.Count,
            MatrixBytes = _matrices.MatrixBytes,
            WarmUpSeconds = warmUp + readWarmUp,
            SecondsPerCall = times[2].Seconds / passes / Calls,
            WeightsPerSecond = WeightsPerPass * passes / times[2].Seconds,
            BytesPerSecond = bytes / times[2].Seconds,
            PlainReadBytesPerSecond = readBytes * reads / times[0].Seconds,
            FastestReadBytesPerSecond = readBytes * reads / times[1].Seconds,
            OfPlainRead = times[2].Ratio * bytes / ((double)readBytes * reads),
        };
    }

    public void Dispose()
    {
        _pool.Dispose();
        _matrices.Dispose();
        _x.Dispose();
        _y.Dispose();
    }

    private int Calls => Math.Max(_matrices.Count / _options.Share, 1);

    private double WeightsPerPass =>
        (double)_options.Rows * _options.Columns * _options.Tokens * Calls * _options.Share;

    /// <summary>Every matrix once, as many a call as share an input; too few matrices are used again within the
    /// call.</summary>
    private void Pass()
    {
        LinearPart[] parts = new LinearPart[_options.Share];
        fixed (LinearPart* first = parts)
        {
            for (int call = 0; call < Calls; call++)
            {
                for (int i = 0; i < parts.Length; i++)
                {
                    float* y = (float*)_y.Pointer + ((nint)i * _options.Tokens * _options.Rows);
                    int matrix = ((call * parts.Length) + i) % _matrices.Count;
                    parts[i] = new LinearPart(_matrices.Views[matrix], null, y, _options.Rows);
                }

                Linear.Forward(_pool, first, parts.Length, (float*)_x.Pointer, _options.Columns, _options.Tokens);
            }
        }
    }

    private void Read() => PlainRead.Run(_pool, _matrices.Memory, _matrices.TotalBytes);

    private static int Repetitions(double seconds) =>
        (int)Math.Clamp(Math.Ceiling(MinRoundSeconds / Math.Max(seconds, 1e-9)), 1, 1e6);

    private static void Repeat(int count, Action action)
    {
        for (int i = 0; i < count; i++)
        {
            action();
        }
    }
}
