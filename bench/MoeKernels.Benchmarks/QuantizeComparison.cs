using MoeKernels.Compression;

namespace MoeKernels.Benchmarks;

/// <summary>Quantising matrices of 768 × 2048 and 2048 × 768 with trained codebooks on one core, phase by
/// phase.</summary>
internal sealed unsafe class QuantizeComparison : IDisposable
{
    public const string Name = "quantize";

    private const int Tokens = 2048;
    private readonly int _rows;
    private readonly int _columns;
    private readonly CodebookOptions _options;
    private readonly int _beams;
    private readonly Scratch _scratch = new();
    private readonly NativeBuffer _inputs;
    private readonly NativeBuffer _hessian;
    private readonly NativeBuffer _weights;
    private readonly NativeBuffer _target;
    private readonly NativeBuffer _moments;

    private QuantizeComparison(int rows, int columns, CodebookOptions options, int beams)
    {
        (_rows, _columns, _options, _beams) = (rows, columns, options, beams);
        _inputs = NativeBuffer.Allocate((long)Tokens * columns * sizeof(float), "benchmark inputs");
        _hessian = NativeBuffer.AllocateZeroed((long)columns * columns * sizeof(float), "benchmark moments");
        _weights = NativeBuffer.Allocate((long)rows * columns * sizeof(float), "benchmark weights");
        _target = NativeBuffer.Allocate((long)rows * columns * sizeof(float), "benchmark targets");
        _moments = NativeBuffer.AllocateZeroed((long)columns * columns * sizeof(float), "benchmark moments");
        Random random = new(1);
        foreach (ref float w in _weights.AsSpan<float>())
            w = 0.02f * Gauss(random);
        float walk = 0;
        foreach (ref float x in _inputs.AsSpan<float>())
            x = walk = (0.7f * walk) + (0.7f * Gauss(random));
        Gemm.AddMoments(new(Floats(_inputs), columns), Tokens, columns, Floats(_hessian), _scratch);
        Gemm.Mirror(Floats(_hessian), columns);
    }

    /// <summary>Adds the figures of gate or up (H shared by two) and down.</summary>
    public static void Run(BenchmarkRun run)
    {
        foreach ((int rows, int columns, int sharing) in new[] { (768, 2048, 2), (2048, 768, 1) })
        {
            foreach ((int stages, int beams) in new[] { (1, 1), (1, CodebookQuantizer.DefaultBeams), (3, 1) })
            {
                using QuantizeComparison comparison = new(rows, columns, new(8, stages), beams);
                comparison.Run(run, sharing);
            }
        }
    }

    public void Dispose()
    {
        _scratch.Dispose();
        foreach (NativeBuffer buffer in (NativeBuffer[])[_inputs, _hessian, _weights, _target, _moments])
            buffer.Dispose();
    }

    private void Run(BenchmarkRun run, int sharing)
    {
        int k = _columns;
        double weights = (double)_rows * k;
        TrainedCodebook codebook = Train();
        using DampedFactor factor = Factor(codebook.InputScales, _options.Damping, _options.Dimension);
        using DampedFactor targetFactor = Factor([], DenseTarget.Damping, 0);
        var times = Interleaved.Measure(
            run.Quick ? 3 : 9,
            threads: 1,
            () => Gemm.AddMoments(new(Floats(_inputs), k), Tokens, k, Floats(_moments), _scratch),
            () => Factor(codebook.InputScales, _options.Damping, _options.Dimension).Dispose(),
            () =>
            {
                _weights.AsSpan<float>().CopyTo(_target.AsSpan<float>());
                DenseTarget.Solve(targetFactor, Floats(_weights), Floats(_target), _rows, _scratch);
            },
            () => CodebookQuantizer.Quantize(Floats(_weights), _rows, factor, codebook, _scratch, _beams));
        string matrix = $"{_rows} × {k}, D = {_options.Dimension} × {_options.Stages}, beams {_beams}";
        Add("moments", (double)Tokens * k * k / times[0].Seconds / 1e9, "GFLOP/s");
        Add("factor", (double)k * k * k / 3 / times[1].Seconds / 1e9, "GFLOP/s");
        Add("target", 2.0 * _rows * k * k / times[2].Seconds / 1e9, "GFLOP/s");
        Add("codes", weights / times[3].Seconds / 1e6, "M weights/s");
        double whole = (2 * times[1].Seconds / sharing) + times[2].Seconds + times[3].Seconds;
        Add("all", weights / whole / 1e6, "M weights/s");

        void Add(string measure, double value, string unit) => run.Add(Name, matrix, 1, measure, value, unit);
    }

    private TrainedCodebook Train()
    {
        double[] diagonal = [.. Enumerable.Range(0, _columns).Select(
            i => (double)Floats(_hessian)[((nint)i * _columns) + i])];
        float[] scales = InputScaling.Choose(diagonal, _options.InputExponent, 0.02);
        return CodebookTrainer.Train(
            [new TrainingSample(Floats(_weights), _rows, Floats(_hessian))], scales, _options, _scratch, default);
    }

    private DampedFactor Factor(float[] inputScales, float damping, int groupSize) =>
        DampedFactor.Create(Floats(_hessian), _columns, inputScales, damping, _scratch, groupSize);

    private static float* Floats(NativeBuffer buffer) => (float*)buffer.Pointer;

    private static float Gauss(Random random) => (float)(
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
}
