using MoeKernels.Models.Description;
using MoeKernels.Models.Loading;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>QMoE's own method (arXiv 2310.16795) as its authors run it: three levels a row, and down projections coded
/// for what the uncoded gate and up make of the compressed model's inputs.</summary>
/// <param name="plainly">Rounds to the nearest levels, without looking at the inputs.</param>
/// <param name="threads">Experts at a time.</param>
/// <param name="cancellation">Stops between experts.</param>
internal sealed unsafe class TernaryExpertCoder(bool plainly, int threads, CancellationToken cancellation)
    : ScalarExpertCoder<QmoeMatrix>(ScalarOptions.Qmoe, plainly, threads, cancellation)
{
    /// <inheritdoc/>
    protected override QmoeMatrix Round(in MatrixProblem problem, ScalarFactor factor, Scratch scratch) =>
        TernaryMatrix.Quantize(problem.Target, problem.Rows, factor, Options, scratch, out _);

    /// <inheritdoc/>
    protected override void Add(LayerTensors tensors, MoeSpec moe, Cell cell, QmoeMatrix[] matrices)
    {
        string kind = cell.Name(moe.Experts);
        for (int e = 0; e < matrices.Length; e++)
            tensors.Add(TernaryBinder.Name(moe.Experts.Expert(e, kind)), matrices[e]);
    }
}
