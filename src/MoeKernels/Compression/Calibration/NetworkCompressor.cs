using MoeKernels.Experts;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Codes the matrices of a layer's experts, or of one dense network: gate and up for the inputs the compressed
/// model gives them, then down for what the coded gate and up make of these.</summary>
/// <param name="network">What the calibration text says.</param>
/// <param name="options">How each kind is coded.</param>
/// <param name="threads">Experts at a time.</param>
/// <param name="cancellation">Stops between experts.</param>
internal sealed unsafe class NetworkCompressor(
    NetworkCalibration network, IReadOnlyDictionary<string, CodebookOptions> options, int threads,
    CancellationToken cancellation)
{
    /// <summary>Most moments kept while a codebook is trained.</summary>
    private const long SampleBytes = 256L << 20;

    private const int MaxSamples = 32;

    private readonly ExpertMatrices _dense = network.Dense;

    private int Experts => _dense.Experts;

    private int Hidden => _dense.Hidden;

    private int Intermediate => _dense.Intermediate;

    /// <summary>Floats of an expert's moments and targets of gate and up.</summary>
    public static long InputFloats(ExpertMatrices dense) => ((long)dense.Hidden * dense.Hidden)
        + ((dense.Gate != null ? 2 : 1) * (long)dense.Intermediate * dense.Hidden);

    /// <summary>Floats of an expert's moments and target of down.</summary>
    public static long DownFloats(ExpertMatrices dense) =>
        ((long)dense.Intermediate * dense.Intermediate) + ((long)dense.Intermediate * dense.Hidden);

    /// <summary>Runs everything.</summary>
    public CompressedNetwork Run()
    {
        (CodebookGroup? gate, CodebookGroup up) = Inputs();
        CodebookGroup down = Down(gate, up);
        return new CompressedNetwork(gate, up, down);
    }

    private (CodebookGroup? Gate, CodebookGroup Up) Inputs()
    {
        bool gated = _dense.Gate != null;
        long floats = InputFloats(_dense);
        int[] sampled = Sample(network, floats * sizeof(float));
        var problems = new (MatrixProblem Gate, MatrixProblem Up)[Experts];
        using var memory = new ProblemMemory(sampled.Length, floats);
        ForEach(sampled, (worker, expert, i) => problems[expert] = worker.Inputs(expert, memory[i]));
        float[] scales = InputScales([.. sampled.Select(e => problems[e].Up)], options[Cell.Up]);
        CodebookGroup? gate = null, up = null;
        Invoke(
            scratch => gate = !gated ? null : CodebookGroup.Train(
                [.. sampled.Select(e => problems[e].Gate)], scales, options[Cell.Gate], Experts, scratch, cancellation),
            scratch => up = CodebookGroup.Train(
                [.. sampled.Select(e => problems[e].Up)], scales, options[Cell.Up], Experts, scratch, cancellation));
        ForEach([.. Enumerable.Range(0, Experts)], (worker, expert, _) =>
        {
            bool kept = Array.IndexOf(sampled, expert) >= 0;
            using NativeBuffer? own = kept ? null : ProblemMemory.Allocate(floats);
            (MatrixProblem gateProblem, MatrixProblem upProblem) =
                kept ? problems[expert] : worker.Inputs(expert, own!);
            using DampedFactor factor = up!.Factor(upProblem, worker.Scratch);
            up.Quantize(expert, upProblem, factor, worker.Scratch);
            using DampedFactor? gateFactor = gate is null || gate.Dimension == up.Dimension
                ? null
                : gate.Factor(gateProblem, worker.Scratch);
            gate?.Quantize(expert, gateProblem, gateFactor ?? factor, worker.Scratch);
        });
        return (gate, up!);
    }

    private CodebookGroup Down(CodebookGroup? gate, CodebookGroup up)
    {
        long floats = DownFloats(_dense);
        int[] sampled = Sample(network, floats * sizeof(float));
        var problems = new MatrixProblem[Experts];
        using var memory = new ProblemMemory(sampled.Length, floats);
        ForEach(sampled, (worker, expert, i) => problems[expert] = Problem(worker, expert, memory[i]));
        MatrixProblem[] samples = [.. sampled.Select(e => problems[e])];
        CodebookGroup? down = null;
        Invoke(scratch => down = CodebookGroup.Train(
            samples, InputScales(samples, options[Cell.Down]), options[Cell.Down], Experts, scratch, cancellation));
        ForEach([.. Enumerable.Range(0, Experts)], (worker, expert, _) =>
        {
            bool kept = Array.IndexOf(sampled, expert) >= 0;
            using NativeBuffer? own = kept ? null : ProblemMemory.Allocate(floats);
            MatrixProblem problem = kept ? problems[expert] : Problem(worker, expert, own!);
            using DampedFactor factor = down!.Factor(problem, worker.Scratch);
            down.Quantize(expert, problem, factor, worker.Scratch);
        });
        return down!;

        MatrixProblem Problem(ExpertProblems worker, int expert, NativeBuffer target)
        {
            long size = (long)Intermediate * Hidden;
            using NativeBuffer coded = ProblemMemory.Allocate(2 * size);
            float* codedUp = (float*)coded.Pointer, codedGate = gate is null ? null : codedUp + size;
            up.Decode(expert, codedUp);
            gate?.Decode(expert, codedGate);
            return worker.Down(expert, codedGate, codedUp, target);
        }
    }

    /// <summary>Factors of the inputs from the mean of the moments' diagonals.</summary>
    public static float[] InputScales(MatrixProblem[] samples, CodebookOptions options)
    {
        int columns = samples[0].Columns;
        double[] diagonal = new double[columns];
        double squares = 0;
        foreach (MatrixProblem sample in samples)
        {
            for (int k = 0; k < columns; k++)
                diagonal[k] += sample.Moments == null ? 0 : sample.Moments[((nint)k * columns) + k] / samples.Length;
            for (nint i = 0; i < (nint)sample.Rows * columns; i++)
                squares += sample.Target[i] * (double)sample.Target[i];
        }

        double size = Math.Sqrt(squares / ((double)samples.Length * samples[0].Rows * columns));
        return InputScaling.Choose(diagonal, options.InputExponent, size);
    }

    /// <summary>Experts a codebook is trained on: spread over those that have tokens.</summary>
    public static int[] Sample(NetworkCalibration network, long bytes)
    {
        int experts = network.Dense.Experts;
        int[] seen = [.. Enumerable.Range(0, experts).Where(e => !network.Tokens.Of(e).IsEmpty)];
        if (seen.Length == 0)
            seen = [.. Enumerable.Range(0, experts)];
        int count = SampleCount(seen.Length, bytes);
        return [.. Enumerable.Range(0, count).Select(i => seen[(int)((long)i * seen.Length / count)])];
    }

    /// <summary>How many of some experts a codebook is trained on.</summary>
    /// <param name="experts">Experts that have tokens.</param>
    /// <param name="bytes">Memory that one takes.</param>
    public static int SampleCount(int experts, long bytes) =>
        (int)Math.Clamp(SampleBytes / bytes, 1, Math.Min(MaxSamples, experts));

    private void ForEach(int[] experts, Action<ExpertProblems, int, int> action) => Concurrent.For(
        experts.Length, Parallelism, () => new ExpertProblems(network),
        (i, worker) => action(worker, experts[i], i));

    private void Invoke(params Action<Scratch>[] actions) => Concurrent.For(
        actions.Length, Parallelism, () => new Scratch(), (i, scratch) => actions[i](scratch));

    private ParallelOptions Parallelism => new() { MaxDegreeOfParallelism = threads, CancellationToken = cancellation };
}
