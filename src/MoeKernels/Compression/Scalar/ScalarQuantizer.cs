namespace MoeKernels.Compression;

/// <summary>
/// GPTQ on a grid of scalars, one matrix at a time on the calling thread: columns are rounded one after the other, and
/// each column's error, weighed by the inverse Hessian, is taken off the columns that follow.
/// </summary>
/// <remarks>Agrees with the code of QMoE's authors (arXiv 2310.16795) up to rounding. The weights are kept as
/// [columns, rows], so that one step handles sixteen rows at once.</remarks>
internal static unsafe class ScalarQuantizer
{
    /// <summary>Rounds a matrix.</summary>
    /// <param name="weights">W [rows, columns], kept as it is.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="factor">Of the inputs' Hessian.</param>
    /// <param name="options">Grid and groups.</param>
    /// <param name="scratch">Working memory.</param>
    /// <param name="codes">Output [rows, columns].</param>
    /// <param name="scales">Output [rows, groups], groups counted in the order of rounding.</param>
    /// <param name="zeros">Output [rows, groups].</param>
    /// <returns>The loss <c>½ Σ ((w - q) / Uᵢᵢ)²</c>.</returns>
    /// <exception cref="MoeNonFiniteException">A weight is not finite, or became so.</exception>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public static double Quantize(
        float* weights, int rows, ScalarFactor factor, ScalarOptions options, Scratch scratch, byte* codes,
        float* scales, float* zeros)
    {
        ArgumentNullException.ThrowIfNull(factor);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        options.Validate();
        int block = Math.Min(options.BlockColumns, factor.Columns);
        int pitch = (rows + ScalarPass.Lanes - 1) / ScalarPass.Lanes * ScalarPass.Lanes;
        using Scratch.Frame frame = scratch.Begin();
        float* memory = scratch.Zeros(ScalarPass.MemoryFloats(factor.Columns, pitch, block));
        var pass = new ScalarPass(options, factor, rows, pitch, block, memory)
        {
            Codes = codes,
            Scales = scales,
            Zeros = zeros,
        };
        pass.Take(weights);
        double loss = pass.Run(scratch);
        return double.IsFinite(loss)
            ? loss
            : throw new MoeNonFiniteException("rounding weights", "a weight or a moment of the inputs is not finite");
    }
}
