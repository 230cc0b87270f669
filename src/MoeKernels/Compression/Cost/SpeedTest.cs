using System.Diagnostics;
using MoeKernels.Cpu;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Compression;

/// <summary>Measures for some seconds how fast this machine does what a compression consists of, on random numbers of
/// the model's sizes. Of the model's files it reads the attention and routers of one layer of each kind.</summary>
/// <param name="source">The model.</param>
/// <param name="text">Windows of the run.</param>
/// <param name="pool">Threads.</param>
/// <param name="options">Method and bits.</param>
/// <param name="cancellation">Stops between measurements.</param>
internal sealed unsafe class SpeedTest(
    SublayerSource source, RunText text, WorkerPool pool, CompressOptions options, CancellationToken cancellation)
{
    /// <summary>Tokens of a call of the head, and the rows of it that are timed; more take as much longer.</summary>
    private const int HeadTokens = 32, MostHeadRows = 8192;

    /// <summary>Bytes of the files that are read.</summary>
    private const int ReadBytes = 32 << 20;

    /// <summary>Code is compiled for speed in two steps, each some time after it was called often: small pieces of
    /// everything run until they get no faster, once a process.</summary>
    private const int FewestRounds = 2, MostRounds = 8, WarmTokens = 64;

    private const double Steady = 0.85;

    private static readonly TimeSpan CompilationDelay = TimeSpan.FromMilliseconds(120);

    private static bool s_warm;

    private readonly ModelDescription _model = source.Description;

    /// <summary>Measures.</summary>
    public MachineSpeed Run()
    {
        if (!s_warm)
            Warm();
        s_warm = true;
        return Measure();
    }

    private void Warm()
    {
        double before = double.PositiveInfinity;
        for (int round = 0; round < MostRounds; round++)
        {
            TimeSpan start = Environment.CpuUsage.TotalTime;
            Layers(WarmTokens).Run();
            CodingSpeedTest.Warm(ExpertShape.Of(Sparse), Sparse.Activation, Grid());
            Head();
            Comparison();
            double seconds = (Environment.CpuUsage.TotalTime - start).TotalSeconds;
            if (round >= FewestRounds && seconds > Steady * before)
                return;
            before = Math.Min(before, seconds);
            cancellation.WaitHandle.WaitOne(CompilationDelay);
            cancellation.ThrowIfCancellationRequested();
        }
    }

    private MoeSpec Sparse => _model.Stacks.SelectMany(StackWalk.SparseLayers).First();

    private MachineSpeed Measure()
    {
        (double[] dense, double[] coded) = Layers(text.Calibrated.Length).Run();
        double tokens = (double)text.Calibrated.Tokens.Length * Sparse.Router.TopK / Sparse.Router.Experts;
        var parallelism = new ParallelOptions
        {
            MaxDegreeOfParallelism = pool.Threads, CancellationToken = cancellation,
        };
        (double targets, double codes, double training, double scalar) = CodingSpeedTest.Run(
            ExpertShape.Of(Sparse), Sparse.Activation, tokens, Grid(), parallelism);
        return new MachineSpeed
        {
            Threads = pool.Threads,
            Targets = targets,
            Codes = codes,
            Training = training,
            ScalarExpert = scalar,
            Dense = dense,
            Coded = coded,
            Head = Head(),
            Comparison = Comparison(),
            Reading = Reading(),
        };
    }

    private LayerSpeedTest Layers(int length)
    {
        CalibrationWindows windows = text.Calibrated;
        if (length < windows.Length)
            windows = new CalibrationWindows(windows.Tokens[..length], length);
        CodeOption? option = options.Method.HasBudget ? CodeOption.Nearest(options.Bits) : null;
        return new LayerSpeedTest(source, windows, pool, option, cancellation);
    }

    private ScalarOptions? Grid() => options.Method.IntegerBits is { } bits ? ScalarOptions.StoredIntegers(bits)
        : options.Method.HasBudget && !options.Compare ? null
        : ScalarOptions.Qmoe;

    private double Head()
    {
        int rows = Math.Min(_model.VocabularySize, MostHeadRows), columns = _model.Hidden;
        using var weights = NativeBuffer.AllocateZeroed((long)rows * columns * sizeof(ushort), "a random head");
        using TokenRows x = new(HeadTokens, columns), y = new(HeadTokens, rows);
        new Span<float>(x.Data, HeadTokens * columns).Fill(1);
        var head = new LinearWeights(
            new(WeightFormat.BF16, weights.Pointer, rows, columns, (nint)columns * sizeof(ushort)), null);
        return Timing.Seconds(pool.Threads, () => head.Forward(pool, x.Data, HeadTokens, y.Data))
            / HeadTokens * _model.VocabularySize / rows;
    }

    private double Comparison()
    {
        int count = Math.Min(_model.VocabularySize, MostHeadRows);
        float[] logits = [.. Enumerable.Range(0, count).Select(i => i % 64 / 4f)];
        return Timing.Seconds(1, () => new EvaluationSums(true).Add(logits, logits, 0))
            * _model.VocabularySize / count / pool.Threads;
    }

    /// <summary>From the middle of the largest file, so that what a run before left in memory does not
    /// decide.</summary>
    private double Reading()
    {
        string path = source.Folder.Checkpoint.Files.MaxBy(file => new FileInfo(file).Length)!;
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1);
        file.Position = file.Length / 2;
        byte[] piece = new byte[1 << 20];
        long start = Stopwatch.GetTimestamp(), done = 0;
        for (int read; done < ReadBytes && (read = file.Read(piece)) > 0; done += read)
            cancellation.ThrowIfCancellationRequested();
        return Stopwatch.GetElapsedTime(start).TotalSeconds / Math.Max(done, 1);
    }
}
