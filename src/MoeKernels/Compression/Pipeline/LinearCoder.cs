using MoeKernels.Models.Description;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Codes single matrices: attention, shared experts, dense networks, embedding and head.</summary>
/// <param name="bits">Most bits per weight of the codes.</param>
/// <param name="threads">Matrices at a time.</param>
/// <param name="cancellation">Stops between matrices.</param>
internal sealed unsafe class LinearCoder(double bits, int threads, CancellationToken cancellation)
{
    /// <summary>Below this many rows a matrix is mostly padding and worth little: gates and the like.</summary>
    public const int FewestRows = 64;

    private readonly CodeOption _option = CodeOption.Nearest(bits);

    /// <summary>Whether a matrix is worth coding.</summary>
    public static bool Takes(in WeightMatrix w) => w.Rows >= FewestRows && w.Columns >= FewestRows;

    /// <summary>Codes matrices.</summary>
    /// <param name="matrices">Matrices by name.</param>
    /// <param name="moments">Moments of their inputs; those that were not multiplied as a whole are left
    /// alone.</param>
    /// <param name="tensors">Receives the stacks.</param>
    public void Code(
        IReadOnlyDictionary<string, WeightMatrix> matrices, InputMoments moments, LayerTensors tensors)
    {
        var parallelism = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellation };
        KeyValuePair<string, WeightMatrix>[] multiplied =
            [.. matrices.Where(pair => moments.Of(pair.Value) != null)];
        Concurrent.For(multiplied.Length, parallelism, () => new Scratch(), (i, scratch) =>
        {
            (string name, WeightMatrix w) = multiplied[i];
            CodebookStack stack = Code(w, moments.Of(w), scratch);
            lock (tensors)
                tensors.Add(name, stack);
        });
    }

    /// <summary>Codes a matrix; the caller disposes the stack.</summary>
    /// <param name="w">The matrix.</param>
    /// <param name="moments">Moments of its inputs, the upper triangle; null for rounding.</param>
    /// <param name="scratch">Working memory.</param>
    public CodebookStack Code(in WeightMatrix w, float* moments, Scratch scratch)
    {
        using Scratch.Frame frame = scratch.Begin();
        MatrixProblem problem = new()
        {
            Target = ExpertProblems.Widen(w, scratch), Moments = moments, Rows = w.Rows, Columns = w.Columns,
        };
        var options = new CodebookOptions(_option.Dimension, _option.Stages);
        float[] scales = NetworkCompressor.InputScales([problem], options);
        CodebookGroup group = CodebookGroup.Train([problem], scales, options, 1, scratch, cancellation);
        using DampedFactor factor = group.Factor(problem, scratch);
        group.Quantize(0, problem, factor, scratch);
        return group.ToStack();
    }
}
