using MoeKernels.Experts;

namespace MoeKernels.Compression;

/// <summary>A random expert and its tokens, with which the quantiser's steps are timed. <see cref="MakeTargets"/>
/// comes first: the others work on what it leaves.</summary>
internal sealed unsafe class ExpertTrial : IDisposable
{
    /// <summary>The option that is timed; others follow from their sizes.</summary>
    private static readonly CodeOption Option = new(10, 1);

    private static readonly CodebookOptions Options = new(Option.Dimension, Option.Stages) { Rounds = 1 };

    private readonly NativeBuffer _weights, _inputs, _outputs;
    private readonly TokenRows _rows;
    private readonly ExpertMatrices _dense;
    private readonly ExpertProblems _worker;
    private readonly int _tokens;
    private MatrixProblem _up;
    private CodebookGroup? _group;

    /// <param name="shape">Sizes.</param>
    /// <param name="activation">Activation.</param>
    /// <param name="tokens">Tokens.</param>
    public ExpertTrial(ExpertShape shape, Activation activation, int tokens)
    {
        (Shape, _tokens) = (shape, tokens);
        _weights = ProblemMemory.Allocate(shape.MatrixWeights);
        _inputs = ProblemMemory.Allocate(shape.InputFloats);
        _outputs = ProblemMemory.Allocate(shape.DownFloats);
        _rows = new TokenRows(tokens, shape.Hidden);
        var random = new SmallRandom(1);
        Fill((float*)_weights.Pointer, shape.MatrixWeights, 0.02f, ref random);
        Fill(_rows.Data, (long)tokens * shape.Hidden, 1, ref random);
        _dense = new ExpertMatrices(1, activation, hasBias: false);
        WeightMatrix up = Matrix(shape.Intermediate, shape.Hidden);
        _dense.Set(0, up, up, Matrix(shape.Hidden, shape.Intermediate));
        _worker = new ExpertProblems(new NetworkCalibration
        {
            Dense = _dense, Inputs = _rows, DenseInputs = _rows, Stream = _rows, DenseStream = _rows,
            Tokens = ExpertTokens.All(tokens),
        });
    }

    /// <summary>Sizes.</summary>
    public ExpertShape Shape { get; }

    /// <summary>Seconds that <see cref="CodingWork"/> gives <see cref="MakeTargets"/>.</summary>
    public double TargetWork =>
        CodingWork.Inputs(Shape, _tokens, plain: false) + CodingWork.Down(Shape, _tokens, plain: false);

    /// <summary>Seconds that it gives <see cref="Code"/>.</summary>
    public double CodeWork =>
        CodingWork.Factor(Shape.Hidden) + CodingWork.Quantize(Shape.Intermediate, Shape.Hidden, Option);

    /// <summary>Seconds that it gives <see cref="Train"/>.</summary>
    public double TrainWork => CodingWork.Train(1, Shape.Intermediate, Shape.Hidden, Option, Options);

    /// <summary>Runs everything once, so that it is compiled.</summary>
    /// <param name="scalar">The grid; null for none.</param>
    public void RunAll(ScalarOptions? scalar)
    {
        MakeTargets();
        Prepare();
        Code();
        Train();
        if (scalar is not null)
            Round(scalar);
    }

    /// <summary>Moments and targets of all matrices.</summary>
    public void MakeTargets()
    {
        (_, _up) = _worker.Inputs(0, _inputs);
        _worker.Down(0, _up.Target, _up.Target, _outputs);
    }

    /// <summary>Trains a rough codebook for <see cref="Code"/>.</summary>
    public void Prepare() => _group = Trained(Options with { SampleWeights = 1 << 16, InitialVectors = 1 << 11 });

    /// <summary>Factor and codes of one matrix.</summary>
    public void Code()
    {
        using DampedFactor factor = _group!.Factor(_up, _worker.Scratch);
        _group.Quantize(0, _up, factor, _worker.Scratch);
    }

    /// <summary>Trains a codebook on one matrix.</summary>
    public void Train() => Trained(Options);

    /// <summary>Rounds all matrices on a grid.</summary>
    public void Round(ScalarOptions options)
    {
        using Scratch.Frame frame = _worker.Scratch.Begin();
        byte* codes = _worker.Scratch.Bytes(Shape.MatrixWeights);
        float* scales = _worker.Scratch.Floats((long)_up.Rows * options.Groups(_up.Columns));
        float* zeros = _worker.Scratch.Floats((long)_up.Rows * options.Groups(_up.Columns));
        for (int i = 0; i <= Shape.InputMatrices; i++)
        {
            using ScalarFactor factor = ScalarFactor.Create(_up.Moments, _up.Columns, options, _worker.Scratch);
            ScalarQuantizer.Quantize(_up.Target, _up.Rows, factor, options, _worker.Scratch, codes, scales, zeros);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _worker.Dispose();
        _dense.Dispose();
        _rows.Dispose();
        foreach (NativeBuffer buffer in (ReadOnlySpan<NativeBuffer>)[_weights, _inputs, _outputs])
            buffer.Dispose();
    }

    private CodebookGroup Trained(CodebookOptions options) => CodebookGroup.Train(
        [_up], NetworkCompressor.InputScales([_up], options), options, 1, _worker.Scratch, default);

    private WeightMatrix Matrix(int rows, int columns) =>
        new(WeightFormat.F32, _weights.Pointer, rows, columns, (nint)columns * sizeof(float));

    private static void Fill(float* numbers, long count, float size, ref SmallRandom random)
    {
        for (nint i = 0; i < (nint)count; i++)
            numbers[i] = size * ((int)random.Below(2001) - 1000) / 1000;
    }
}
