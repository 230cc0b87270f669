using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>How long the stages of a compression take: what each does, counted, at the speeds of this
/// machine.</summary>
/// <param name="sizes">Model and run.</param>
/// <param name="speed">The machine.</param>
internal sealed class CompressionTimes(RunSizes sizes, MachineSpeed speed)
{
    /// <summary>Other methods that <see cref="CompressOptions.Compare"/> runs.</summary>
    private const int ComparedMethods = 5;

    private readonly IReadOnlyList<LayerSpec> _layers = sizes.Layers;

    private double Threads => speed.Threads;

    private double DenseToken => speed.Dense.Sum();

    /// <summary>Measuring the cells.</summary>
    public double Allocation()
    {
        if (!sizes.Measures)
            return 0;
        bool full = sizes.Options.Allocation == AllocationMode.Full;
        double measured = sizes.Text.Measured.Tokens.Length;
        double seconds = DenseToken * (sizes.ProbedTokens + (2 * measured)), left = DenseToken;
        for (int i = 0; i < _layers.Count; i++)
        {
            if (_layers[i] is MoeSpec moe)
            {
                int options = full ? CodeOption.All.Count : 1;
                int cells = ExpertShape.Of(moe).InputMatrices + 1;
                seconds += Probe(moe, full) + (options * cells * measured * (left + (2 * speed.Head)));
            }

            left -= speed.Dense[i];
        }

        return seconds;
    }

    /// <summary>Coding all layers once.</summary>
    public double Coding()
    {
        double seconds = sizes.Tokens * (DenseToken + speed.Coded.Sum());
        for (int i = 0; i < _layers.Count; i++)
        {
            if (_layers[i] is MoeSpec moe)
                seconds += sizes.Options.Method.HasBudget ? Codebooks(moe) : Scalars(moe);
        }

        return seconds + (sizes.Options.DenseBits is { } bits ? Others(bits) : 0);
    }

    /// <summary>Comparing the result with the dense model.</summary>
    public double Evaluation() => sizes.Text.EvaluationCount * sizes.Text.Calibrated.Length
        * (DenseToken + speed.Coded.Sum() + (2 * speed.Head) + speed.Comparison);

    /// <summary>Other methods on the same model.</summary>
    public double Comparison() => !sizes.Options.Compare ? 0
        : ComparedMethods * ((2 * sizes.Tokens * DenseToken) + _layers.OfType<MoeSpec>().Sum(Scalars) + Evaluation());

    private double Probe(MoeSpec moe, bool full)
    {
        ExpertShape shape = ExpertShape.Of(moe);
        double tokens = PerExpert(moe, sizes.ProbedTokens);
        int samples = NetworkCompressor.SampleCount(
            moe.Router.Experts, (shape.InputFloats + shape.DownFloats) * sizeof(float));
        double targets = samples * (CodingWork.Inputs(shape, tokens, true) + CodingWork.Down(shape, tokens, true));
        double codes = 0, training = 0;
        CodeOption[] coded = full ? [.. CodeOption.All] : [CodeOption.All[Sensitivity.Probe]];
        CodeOption[] knots = full ? [] : [.. Sensitivity.Knots.Select(knot => CodeOption.All[knot])];
        Cell[] cells = [.. StackWalk.Cells(moe, 0)];
        foreach (CodeOption option in coded)
        {
            codes += samples * cells.Sum(cell => Matrix(cell, option));
            training += cells.Max(cell => Train(cell, option, samples, 1, NetworkProbe.AllVectors)) * Threads
                * Math.Ceiling(cells.Length / Threads);
        }

        int few = Math.Min(samples, Sensitivity.ErrorExperts);
        codes += few * knots.Sum(option => cells.Sum(cell => Matrix(cell, option)));
        training += knots.Sum(option => cells.Sum(cell => Train(cell, option, few, 1, NetworkProbe.ErrorVectors)));
        return ((targets * speed.Targets) + (codes * speed.Codes) + (training * speed.Training)) / Threads;
    }

    private double Codebooks(MoeSpec moe)
    {
        ExpertShape shape = ExpertShape.Of(moe);
        int experts = moe.Router.Experts;
        double tokens = PerExpert(moe, sizes.Tokens);
        double targets = experts * (CodingWork.Inputs(shape, tokens, false) + CodingWork.Down(shape, tokens, false));
        Cell[] cells = [.. StackWalk.Cells(moe, 0)];
        double codes = experts * cells.Sum(cell => Matrix(cell, sizes.Option))
            - (experts * (shape.InputMatrices - 1) * CodingWork.Factor(shape.Hidden));
        double[] training = Array.ConvertAll(cells, cell => Train(
            cell, sizes.Option, Samples(shape, experts, cell.Kind), new CodebookOptions(1, 1).Rounds,
            NetworkProbe.AllVectors));
        double inputs = Threads > 1 ? training[..^1].Max() : training[..^1].Sum();
        return (((targets * speed.Targets) + (codes * speed.Codes)) / Threads)
            + ((inputs + training[^1]) * speed.Training);
    }

    /// <summary>Experts on a grid of scalars, whose targets are the matrices themselves.</summary>
    private double Scalars(MoeSpec moe)
    {
        ExpertShape shape = ExpertShape.Of(moe);
        double tokens = PerExpert(moe, sizes.Tokens);
        double targets = CodingWork.Inputs(shape, tokens, true) + CodingWork.Down(shape, tokens, true);
        return moe.Router.Experts * ((targets * speed.Targets) + speed.ScalarExpert) / Threads;
    }

    /// <summary>Matrices that are no routed experts: each layer runs once more for their inputs, and embedding and head
    /// are coded on one thread.</summary>
    private double Others(double bits)
    {
        CodeOption option = CodeOption.Nearest(bits);
        double inner = sizes.OtherMatrices.Sum(matrix => Single(matrix.Rows, matrix.Columns, option));
        double edges = sizes.EdgeMatrices.Sum(matrix => Single(matrix.Rows, matrix.Columns, option));
        return (inner / Threads) + edges + (sizes.Tokens * DenseToken);
    }

    private double Single(int rows, int columns, CodeOption option)
    {
        var options = new CodebookOptions(option.Dimension, option.Stages);
        double moments = (double)Math.Min(sizes.Tokens, InputMoments.MaxTokens) / 2 / rows
            * CodingWork.Quantize(rows, columns, option);
        return ((CodingWork.Factor(columns) + CodingWork.Quantize(rows, columns, option)) * speed.Codes)
            + (CodingWork.Train(1, rows, columns, option, options) * speed.Training) + (moments * speed.Targets);
    }

    private static int Samples(ExpertShape shape, int experts, string kind) => NetworkCompressor.SampleCount(
        experts, sizeof(float) * (kind == Cell.Down ? shape.DownFloats : shape.InputFloats));

    private static double Matrix(Cell cell, CodeOption option) =>
        CodingWork.Factor(cell.Columns) + CodingWork.Quantize(cell.Rows, cell.Columns, option);

    private static double Train(Cell cell, CodeOption option, int samples, int rounds, int vectors) =>
        CodingWork.Train(samples, cell.Rows, cell.Columns, option, new CodebookOptions(option.Dimension, option.Stages)
        {
            Rounds = rounds, InitialVectors = vectors,
        });

    private static double PerExpert(MoeSpec moe, int tokens) => (double)tokens * moe.Router.TopK / moe.Router.Experts;
}
