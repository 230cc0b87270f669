using System.Security.Cryptography;
using MoeKernels.Benchmarks.Reporting;
using MoeKernels.Cpu;
using MoeKernels.Packed;

namespace MoeKernels.Benchmarks;

/// <summary>Codebook matrices times one token and many, table building counted, beside a plain read and the bf16
/// product of the same run: small ones, whose tables 8 matrices share, and large ones.</summary>
internal sealed unsafe class CodebookComparison : IDisposable
{
    public const string Name = "codebook";

    private const int SmallRows = 768;
    private const int SmallColumns = 2048;
    private const int Sharers = 8;
    private const int PromptTokens = 32;

    /// <summary>Rounds over the same 8 uses of one matrix: long enough for the clock.</summary>
    private const int CacheRounds = 500;

    private const long RotatingBytes = 272L << 20;
    private readonly CodebookShape _shape;
    private readonly Codebook _codebook;
    private readonly NativeBuffer _codes;
    private readonly NativeBuffer _scales;
    private readonly NativeBuffer _x;
    private readonly NativeBuffer _y;

    private CodebookComparison(CodebookShape shape, int shared)
    {
        (_shape, Shared) = (shape, shared);
        Random random = new(shape.Dimension);
        sbyte[] vectors = new sbyte[shape.Stages * CodebookShape.Vectors * shape.Dimension];
        for (int i = 0; i < vectors.Length; i++)
            vectors[i] = (sbyte)random.Next(-15, 16);
        _codebook = new Codebook(shape.Dimension, shape.Stages, vectors);
        Count = Math.Max((int)(RotatingBytes / _shape.CodeBytes / Shared), 2) * Shared;
        _codes = NativeBuffer.Allocate(Count * _shape.CodeBytes, "benchmark codes");
        RandomNumberGenerator.Fill(_codes.AsSpan<byte>());
        _scales = NativeBuffer.Allocate(sizeof(ushort) * _shape.PaddedRows, "benchmark scales");
        _scales.AsSpan<Half>().Fill((Half)0.01);
        _x = NativeBuffer.Allocate((long)sizeof(float) * PromptTokens * Columns, "x");
        _y = NativeBuffer.Allocate((long)sizeof(float) * PromptTokens * Rows * Shared, "y");
        foreach (ref float x in _x.AsSpan<float>())
            x = random.NextSingle() - 0.5f;
    }

    private int Count { get; }

    private int Shared { get; }

    private int Rows => _shape.Rows;

    private int Columns => _shape.Columns;

    /// <summary>Adds the figures of D = 5, 8 and 10 at expert size, and of large matrices at 1 and 4 bits.</summary>
    public static void Run(BenchmarkRun run)
    {
        RunSmall(run);
        foreach (CodebookShape shape in (ReadOnlySpan<CodebookShape>)[new(14336, 4096, 8, 1), new(151_936, 2048, 4, 2)])
        {
            using CodebookComparison comparison = new(shape, 1);
            foreach (int threads in run.ThreadCounts)
            {
                using WorkerPool pool = new(threads);
                comparison.RunLarge(run, pool);
            }
        }
    }

    private static void RunSmall(BenchmarkRun run)
    {
        using RotatingMatrices dense = new(WeightFormat.BF16, SmallRows, SmallColumns);
        using RotatingMatrices single = new(WeightFormat.F32, SmallRows, SmallColumns, 1);
        foreach ((int dimension, double target) in new[] { (5, 240.0), (8, 380.0), (10, 450.0) })
        {
            using CodebookComparison comparison = new(new(SmallRows, SmallColumns, dimension, 1), Sharers);
            foreach (int threads in run.ThreadCounts)
            {
                using WorkerPool pool = new(threads);
                comparison.RunRotating(run, pool, dense);
                if (threads == 1)
                    comparison.RunInCache(run, pool, single, target);
            }
        }
    }

    public void Dispose()
    {
        _codebook.Dispose();
        foreach (NativeBuffer buffer in (NativeBuffer[])[_codes, _scales, _x, _y])
            buffer.Dispose();
    }

    private string Case =>
        $"{Rows} × {Columns}, D = {_shape.Dimension}" + (_shape.Stages == 1 ? string.Empty : $" × {_shape.Stages}");

    private void RunInCache(BenchmarkRun run, WorkerPool pool, RotatingMatrices single, double target)
    {
        int rounds = run.Quick ? 3 : 15;
        var times = Interleaved.Measure(
            rounds,
            1,
            () => Repeat(pool, CacheRounds, 1),
            () => Repeat(pool, CacheRounds / PromptTokens, PromptTokens),
            () => Prompt(pool, single));
        double many = times[1].Seconds / (CacheRounds / PromptTokens * Shared);
        Add(run, 1, "in cache, 1 token", CacheRounds, times[0].Seconds, Target.AtLeast(target));
        Add(
            run, 1, $"in cache, {PromptTokens} tokens", CacheRounds / PromptTokens * PromptTokens, times[1].Seconds,
            _shape.Dimension == 8 ? Target.AtLeast(350) : null);
        run.Add(
            Name, Case, 1, $"in cache, {PromptTokens} tokens / fp32 product", times[2].Seconds / many, string.Empty,
            _shape.Dimension == 8 ? Target.AtLeast(4) : null);

        SimdLevel level = Simd.Level;
        if (level <= SimdLevel.V256)
            return;
        Simd.Level = SimdLevel.V256;
        var narrow = Interleaved.Measure(rounds, 1, () => Repeat(pool, CacheRounds / 4, 1));
        Simd.Level = level;
        Add(
            run, 1, "in cache, 1 token, AVX2", CacheRounds / 4, narrow[0].Seconds,
            _shape.Dimension == 8 ? Target.AtLeast(90) : null);
    }

    private void RunRotating(BenchmarkRun run, WorkerPool pool, RotatingMatrices dense)
    {
        long bytes = Count * _shape.CodeBytes;
        var times = Interleaved.Measure(
            run.Quick ? 3 : 15,
            pool.Threads,
            () => PlainRead.Run(pool, _codes.Pointer, bytes),
            () => Rotate(pool),
            () => Dense(pool, dense));
        double denseSeconds = times[2].Seconds * Count / dense.Count;
        Add(run, pool.Threads, "rotating, 1 token", Count / Shared, times[1].Seconds, null);
        run.Add(Name, Case, pool.Threads, "plain read", bytes / 1e9 / times[0].Seconds, "GB/s");
        run.Add(
            Name, Case, pool.Threads, "rotating / plain read", times[1].Ratio, string.Empty, Target.AtLeast(0.65));
        run.Add(
            Name, Case, pool.Threads, "rotating / bf16 matvec", denseSeconds / times[1].Seconds, string.Empty,
            _shape.Dimension == 8 ? Target.AtLeast(10) : null);
    }

    private void RunLarge(BenchmarkRun run, WorkerPool pool)
    {
        long bytes = Count * _shape.CodeBytes;
        var times = Interleaved.Measure(
            run.Quick ? 3 : 15,
            pool.Threads,
            () => PlainRead.Run(pool, _codes.Pointer, bytes),
            () => Rotate(pool));
        Add(run, pool.Threads, "rotating, 1 token", Count / Shared, times[1].Seconds, null);
        run.Add(Name, Case, pool.Threads, "rotating / plain read", times[1].Ratio, string.Empty, Target.AtLeast(0.85));
    }

    private void Add(
        BenchmarkRun run, int threads, string measure, int tablesBuilt, double seconds, Target? target) =>
        run.Add(
            Name, Case, threads, measure, (double)Rows * Columns * Shared * tablesBuilt / 1e9 / seconds,
            "G weights/s", target);

    private void Repeat(WorkerPool pool, int rounds, int tokens)
    {
        for (int i = 0; i < rounds; i++)
            Multiply(pool, 0, tokens, 0);
    }

    private void Rotate(WorkerPool pool)
    {
        for (int first = 0; first < Count; first += Shared)
            Multiply(pool, first, 1, 1);
    }

    /// <summary>Tables once, then 8 matrices: the same one or neighbours.</summary>
    private void Multiply(WorkerPool pool, int first, int tokens, int step)
    {
        LinearPart* parts = stackalloc LinearPart[Shared];
        for (int i = 0; i < Shared; i++)
        {
            byte* codes = _codes.Pointer + ((first + (i * step)) * _shape.CodeBytes);
            WeightMatrix matrix = WeightMatrix.Codebook(
                codes, Rows, Columns, (ushort*)_scales.Pointer, _codebook.Native);
            parts[i] = new LinearPart(matrix, null, (float*)_y.Pointer + (i * tokens * Rows), Rows);
        }

        Linear.Forward(pool, parts, Shared, (float*)_x.Pointer, Columns, tokens);
    }

    /// <summary>One product of a prompt with a dense fp32 matrix.</summary>
    private void Prompt(WorkerPool pool, RotatingMatrices single) => Linear.Forward(
        pool, single.Views[0], null, (float*)_x.Pointer, Columns, PromptTokens, (float*)_y.Pointer, Rows);

    private void Dense(WorkerPool pool, RotatingMatrices dense)
    {
        for (int i = 0; i < dense.Count; i++)
            Linear.Forward(pool, dense.Views[i], null, (float*)_x.Pointer, Columns, 1, (float*)_y.Pointer, Rows);
    }
}
