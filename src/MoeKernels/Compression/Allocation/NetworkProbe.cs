using MoeKernels.Experts;

namespace MoeKernels.Compression;

/// <summary>Codes some experts of a layer in many ways from moments that are accumulated once.</summary>
internal sealed unsafe class NetworkProbe : IDisposable
{
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

    /// <summary>Codes a cell's sampled experts.</summary>
    /// <param name="cell">Cell.</param>
    /// <param name="option">How.</param>
    /// <param name="most">Experts to code at most.</param>
    /// <param name="decode">Whether the coded matrices are wanted, and not their error alone.</param>
    public ProbedCell Code(Cell cell, CodeOption option, int most, bool decode)
    {
        MatrixProblem[] problems = cell.Kind switch
        {
            Cell.Gate => Array.ConvertAll(_inputs, pair => pair.Gate),
            Cell.Up => Array.ConvertAll(_inputs, pair => pair.Up),
            _ => _downs,
        };
        problems = problems[..Math.Min(most, problems.Length)];
        var settings = new CodebookOptions(option.Dimension, option.Stages) { Rounds = 1 };
        float[] scales = NetworkCompressor.InputScales(problems, settings);
        CodebookGroup group;
        using (Scratch scratch = new())
        {
            group = CodebookGroup.Train(
                problems, scales, settings, problems.Length, scratch, _parallelism.CancellationToken);
        }

        Concurrent.For(problems.Length, _parallelism, () => new Scratch(), (i, scratch) =>
        {
            using DampedFactor factor = group.Factor(problems[i], scratch);
            group.Quantize(i, problems[i], factor, scratch);
        });
        return new ProbedCell(cell, group, _experts, decode);
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
    private readonly NativeBuffer? _decoded;

    /// <param name="cell">Cell.</param>
    /// <param name="group">Its coded matrices.</param>
    /// <param name="experts">Which experts they are.</param>
    /// <param name="decode">Whether the matrices are wanted.</param>
    public ProbedCell(Cell cell, CodebookGroup group, int[] experts, bool decode)
    {
        (_cell, Experts, RelativeError) = (cell, experts, group.RelativeError);
        if (!decode)
            return;
        long size = (long)cell.Rows * cell.Columns;
        _decoded = NativeBuffer.Allocate(experts.Length * size * sizeof(float), "probed matrices");
        for (int i = 0; i < experts.Length; i++)
            group.Decode(i, (float*)_decoded.Pointer + (i * size));
    }

    /// <summary>The experts.</summary>
    public IReadOnlyList<int> Experts { get; }

    /// <summary>Share of the outputs' mean square that is lost.</summary>
    public double RelativeError { get; }

    /// <summary>Puts the coded matrices in the place of the dense ones.</summary>
    public void CopyTo(WeightMatrix[] matrices)
    {
        nint size = (nint)_cell.Rows * _cell.Columns;
        for (int i = 0; i < Experts.Count; i++)
        {
            matrices[Experts[i]] = new WeightMatrix(
                WeightFormat.F32, (float*)_decoded!.Pointer + (i * size), _cell.Rows, _cell.Columns,
                (nint)_cell.Columns * sizeof(float));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _decoded?.Dispose();
}
