using System.Security.Cryptography;
using MoeKernels.Benchmarks.Reporting;
using MoeKernels.Cpu;
using MoeKernels.Packed;

namespace MoeKernels.Benchmarks;

/// <summary>Codebook matrices of 768 × 2048 times one token and many, tables shared by 8 matrices and counted, beside a
/// plain read and the bf16 product of the same run.</summary>
internal sealed unsafe class CodebookComparison : IDisposable
{
    public const string Name = "codebook";

    private const int Rows = 768;
    private const int Columns = 2048;
    private const int Shared = 8;
    private const int PromptTokens = 32;

    /// <summary>Rounds over the same 8 uses of one matrix: long enough for the clock.</summary>
    private const int CacheRounds = 500;

    private const long RotatingBytes = 272L << 20;
    private readonly CodebookShape _shape;
    private readonly Codebook _codebook;
    private readonly NativeBuffer _codes;
    private readonly NativeBuffer _scales;
    private readonly NativeBuffer _x = NativeBuffer.Allocate(sizeof(float) * PromptTokens * Columns, "x");
    private readonly NativeBuffer _y = NativeBuffer.Allocate(sizeof(float) * PromptTokens * Rows * Shared, "y");

    private CodebookComparison(int dimension)
    {
        _shape = new CodebookShape(Rows, Columns, dimension, 1);
        Random random = new(dimension);
        sbyte[] vectors = new sbyte[CodebookShape.Vectors * dimension];
        for (int i = 0; i < vectors.Length; i++)
            vectors[i] = (sbyte)random.Next(-15, 16);
        _codebook = new Codebook(dimension, 1, vectors);
        Count = (int)(RotatingBytes / _shape.CodeBytes / Shared) * Shared;
        _codes = NativeBuffer.Allocate(Count * _shape.CodeBytes, "benchmark codes");
        RandomNumberGenerator.Fill(_codes.AsSpan<byte>());
        _scales = NativeBuffer.Allocate(sizeof(ushort) * _shape.PaddedRows, "benchmark scales");
        _scales.AsSpan<Half>().Fill((Half)0.01);
        foreach (ref float x in _x.AsSpan<float>())
            x = random.NextSingle() - 0.5f;
    }

    private int Count { get; }

    /// <summary>Adds the figures of D = 5, 8 and 10.</summary>
    public static void Run(BenchmarkRun run)
    {
        using RotatingMatrices dense = new(WeightFormat.BF16, Rows, Columns);
        foreach ((int dimension, double target) in new[] { (5, 240.0), (8, 380.0), (10, 450.0) })
        {
            using CodebookComparison comparison = new(dimension);
            foreach (int threads in run.ThreadCounts)
            {
                using WorkerPool pool = new(threads);
                comparison.RunRotating(run, pool, dense);
                if (threads == 1)
                    comparison.RunInCache(run, pool, target);
            }
        }
    }

    public void Dispose()
    {
        _codebook.Dispose();
        foreach (NativeBuffer buffer in (NativeBuffer[])[_codes, _scales, _x, _y])
            buffer.Dispose();
    }

    private string Case => $"{Rows} × {Columns}, D = {_shape.Dimension}";

    private void RunInCache(BenchmarkRun run, WorkerPool pool, double target)
    {
        int rounds = run.Quick ? 3 : 15;
        var times = Interleaved.Measure(
            rounds,
            1,
            () => Repeat(pool, CacheRounds, 1),
            () => Repeat(pool, CacheRounds / PromptTokens, PromptTokens));
        Add(run, 1, "in cache, 1 token", CacheRounds, times[0].Seconds, Target.AtLeast(target));
        Add(
            run, 1, $"in cache, {PromptTokens} tokens", CacheRounds / PromptTokens * PromptTokens, times[1].Seconds,
            _shape.Dimension == 8 ? Target.AtLeast(350) : null);

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

    private void Dense(WorkerPool pool, RotatingMatrices dense)
    {
        for (int i = 0; i < dense.Count; i++)
            Linear.Forward(pool, dense.Views[i], null, (float*)_x.Pointer, Columns, 1, (float*)_y.Pointer, Rows);
    }
}
