using MoeKernels.Experts;

namespace MoeKernels.Compression;

/// <summary>Codes some experts of a layer in many ways from moments that are accumulated once.</summary>
internal sealed unsafe class NetworkProbe : IDisposable
{
    /// <summary>Vectors of the first clustering: for codes that are measured, and for errors that are only compared
    /// with each other.</summary>
    public const int AllVectors = 1 << 15, ErrorVectors = 1 << 13;

    private readonly ExpertMatrices _dense;
    private readonly ParallelOptions _parallelism;
    private readonly int[] _experts;
    private readonly ProblemMemory _inputMemory, _downMemory;
    private readonly (MatrixProblem Gate, MatrixProblem Up)[] _inputs;
    private readonly MatrixProblem[] _downs;

    /// <param name="network">What the calibration text says; targets are plain.</param>
    /// <param name="threads">Experts at a time.</param>
    /// <param name="cancellation">Stops between experts.</param>
    public NetworkProbe(NetworkCalibration network, int threads, CancellationToken cancellation)
    {
        _dense = network.Dense;
        _parallelism = new() { MaxDegreeOfParallelism = threads, CancellationToken = cancellation };
        long inputFloats = NetworkCompressor.InputFloats(_dense), downFloats = NetworkCompressor.DownFloats(_dense);
        _experts = NetworkCompressor.Sample(network, (inputFloats + downFloats) * sizeof(float));
        _inputMemory = new ProblemMemory(_experts.Length, inputFloats);
        _downMemory = new ProblemMemory(_experts.Length, downFloats);
        _inputs = new (MatrixProblem, MatrixProblem)[_experts.Length];
        _downs = new MatrixProblem[_experts.Length];
        Concurrent.For(
            _experts.Length, _parallelism, () => new ExpertProblems(network), (i, worker) =>
            {
                int expert = _experts[i];
                _inputs[i] = worker.Inputs(expert, _inputMemory[i]);
                using Scratch.Frame frame = worker.Scratch.Begin();
                float* gate = _dense.Gate == null ? null : ExpertProblems.Widen(_dense.Gate[expert], worker.Scratch);
                float* up = ExpertProblems.Widen(_dense.Up[expert], worker.Scratch);
                _downs[i] = worker.Down(expert, gate, up, _downMemory[i]);
            });
    }

    /// <summary>Codes the sampled experts of some cells.</summary>
    /// <param name="cells">Cells.</param>
    /// <param name="option">How.</param>
    /// <returns>Their coded matrices, one group a cell.</returns>
    public CodebookGroup[] Code(Cell[] cells, CodeOption option)
    {
        MatrixProblem[][] problems = Array.ConvertAll(cells, Problems);
        var groups = new CodebookGroup[cells.Length];
        Concurrent.For(cells.Length, _parallelism, () => new Scratch(), (i, scratch) =>
            groups[i] = Train(problems[i], option, AllVectors, scratch));
        Concurrent.For(cells.Length * _experts.Length, _parallelism, () => new Scratch(), (task, scratch) =>
        {
            (int cell, int i) = Math.DivRem(task, _experts.Length);
            Quantize(groups[cell], i, problems[cell][i], scratch);
        });
        return groups;
    }

    /// <summary>The matrices that a cell's codes stand for.</summary>
    public ProbedCell Decode(Cell cell, CodebookGroup coded) => new(cell, coded, _experts);

    /// <summary>Shares of the outputs' mean square that are lost, [cells × options]; one of them a worker.</summary>
    /// <param name="cells">Cells.</param>
    /// <param name="options">Ways to code them.</param>
    /// <param name="most">Experts of a cell to code at most.</param>
    public double[][] Errors(Cell[] cells, CodeOption[] options, int most)
    {
        double[][] errors = Array.ConvertAll(cells, _ => new double[options.Length]);
        Concurrent.For(cells.Length * options.Length, _parallelism, () => new Scratch(), (task, scratch) =>
        {
            (int cell, int option) = Math.DivRem(task, options.Length);
            MatrixProblem[] problems = Problems(cells[cell]);
            problems = problems[..Math.Min(most, problems.Length)];
            CodebookGroup group = Train(problems, options[option], ErrorVectors, scratch);
            for (int i = 0; i < problems.Length; i++)
                Quantize(group, i, problems[i], scratch);
            errors[cell][option] = group.RelativeError;
        });
        return errors;
    }

    private MatrixProblem[] Problems(Cell cell) => cell.Kind switch
    {
        Cell.Gate => Array.ConvertAll(_inputs, pair => pair.Gate),
        Cell.Up => Array.ConvertAll(_inputs, pair => pair.Up),
        _ => _downs,
    };

    private CodebookGroup Train(MatrixProblem[] problems, CodeOption option, int vectors, Scratch scratch)
    {
        var settings = new CodebookOptions(option.Dimension, option.Stages) { Rounds = 1, InitialVectors = vectors };
        float[] scales = NetworkCompressor.InputScales(problems, settings);
        return CodebookGroup.Train(
            problems, scales, settings, problems.Length, scratch, _parallelism.CancellationToken);
    }

    private static void Quantize(CodebookGroup group, int index, in MatrixProblem problem, Scratch scratch)
    {
        using DampedFactor factor = group.Factor(problem, scratch);
        group.Quantize(index, problem, factor, scratch);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _inputMemory.Dispose();
        _downMemory.Dispose();
    }
}

/// <summary>The sampled experts of a cell, coded in one way.</summary>
internal sealed unsafe class ProbedCell : IDisposable
{
    private readonly Cell _cell;
    private readonly NativeBuffer _decoded;

    /// <param name="cell">Cell.</param>
    /// <param name="group">Its coded matrices.</param>
    /// <param name="experts">Which experts they are.</param>
    public ProbedCell(Cell cell, CodebookGroup group, int[] experts)
    {
        (_cell, Experts) = (cell, experts);
        long size = (long)cell.Rows * cell.Columns;
        _decoded = NativeBuffer.Allocate(experts.Length * size * sizeof(float), "probed matrices");
        for (int i = 0; i < experts.Length; i++)
            group.Decode(i, (float*)_decoded.Pointer + (i * size));
    }

    /// <summary>The experts.</summary>
    public IReadOnlyList<int> Experts { get; }

    /// <summary>Puts the coded matrices in the place of the dense ones.</summary>
    public void CopyTo(WeightMatrix[] matrices)
    {
        nint size = (nint)_cell.Rows * _cell.Columns;
        for (int i = 0; i < Experts.Count; i++)
        {
            matrices[Experts[i]] = new WeightMatrix(
                WeightFormat.F32, (float*)_decoded.Pointer + (i * size), _cell.Rows, _cell.Columns,
                (nint)_cell.Columns * sizeof(float));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _decoded.Dispose();
}
