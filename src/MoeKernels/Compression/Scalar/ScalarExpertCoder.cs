using MoeKernels.Experts;
using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>Codes experts on grids of scalars, one matrix after the other: the matrices themselves are wanted, for the
/// inputs that the compressed model gives, each token counting alike.</summary>
/// <typeparam name="TMatrix">A coded matrix.</typeparam>
/// <param name="options">Grid and groups.</param>
/// <param name="plainly">Rounds to the nearest levels, without looking at the inputs.</param>
/// <param name="threads">Experts at a time.</param>
/// <param name="cancellation">Stops between experts.</param>
internal abstract unsafe class ScalarExpertCoder<TMatrix>(
    ScalarOptions options, bool plainly, int threads, CancellationToken cancellation) : IExpertCoder
{
    private long _unfactored;

    /// <summary>Grid and groups.</summary>
    protected ScalarOptions Options => options;

    /// <inheritdoc/>
    public LayerFile Code(MoeSpec moe, NetworkCalibration network, LayerTensors tensors)
    {
        NetworkCalibration plain = network with { PlainTargets = true, EqualTokens = true };
        Cell[] cells = [.. StackWalk.Cells(moe, 0)];
        _unfactored = 0;
        var coded = cells.ToDictionary(cell => cell.Kind, cell => new TMatrix[cell.Count]);
        var parallelism = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellation };
        Concurrent.For(
            plain.Dense.Experts, parallelism, () => new ExpertProblems(plain),
            (expert, worker) => Code(plain.Dense, worker, expert, coded));
        foreach (Cell cell in cells)
            Add(tensors, moe, cell, coded[cell.Kind]);
        return new LayerFile(network.Tokens.Counts, new Dictionary<string, double>()) { Unfactored = _unfactored };
    }

    /// <summary>Codes a matrix. What it leaves in the problem's target is what gives the down projection its
    /// inputs.</summary>
    protected abstract TMatrix Round(in MatrixProblem problem, ScalarFactor factor, Scratch scratch);

    /// <summary>Stores the matrices of a cell.</summary>
    protected abstract void Add(LayerTensors tensors, MoeSpec moe, Cell cell, TMatrix[] matrices);

    private void Code(
        ExpertMatrices dense, ExpertProblems worker, int expert, Dictionary<string, TMatrix[]> coded)
    {
        using NativeBuffer inputs = ProblemMemory.Allocate(NetworkCompressor.InputFloats(dense));
        (MatrixProblem gate, MatrixProblem up) = worker.Inputs(expert, inputs);
        using (ScalarFactor factor = Factor(up, worker.Scratch))
        {
            coded[Cell.Up][expert] = Round(up, factor, worker.Scratch);
            if (dense.Gate != null)
                coded[Cell.Gate][expert] = Round(gate, factor, worker.Scratch);
            Count(factor, dense.Gate != null ? 2 : 1);
        }

        using NativeBuffer outputs = ProblemMemory.Allocate(NetworkCompressor.DownFloats(dense));
        MatrixProblem down = worker.Down(expert, gate.Target, up.Target, outputs);
        using ScalarFactor downFactor = Factor(down, worker.Scratch);
        coded[Cell.Down][expert] = Round(down, downFactor, worker.Scratch);
        Count(downFactor, 1);
    }

    private void Count(ScalarFactor factor, int matrices)
    {
        if (factor.FellBack)
            Interlocked.Add(ref _unfactored, matrices);
    }

    private ScalarFactor Factor(in MatrixProblem problem, Scratch scratch) =>
        ScalarFactor.Create(plainly ? null : problem.Moments, problem.Columns, options, scratch);
}
