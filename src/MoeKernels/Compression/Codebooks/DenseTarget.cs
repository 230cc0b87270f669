namespace MoeKernels.Compression;

/// <summary>The matrix that is best for the inputs the compressed model gives it and the outputs of the dense
/// model.</summary>
internal static unsafe class DenseTarget
{
    /// <summary>Damping of the solve relative to the mean of H's diagonal: anything from 0.01 to 0.1 does.</summary>
    public const float Damping = 0.03f;

    /// <summary>Replaces G by <c>W' = (G + l W)(H + l I)⁻¹</c>.</summary>
    /// <param name="factor">Factor of H + l I, without input scales; matrices with the same inputs share it.</param>
    /// <param name="weights">W, [rows × K].</param>
    /// <param name="moments">G = Tᵀ X / n on entry and W' on return, [rows × K].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="scratch">Working memory.</param>
    public static void Solve(DampedFactor factor, float* weights, float* moments, int rows, Scratch scratch)
    {
        int columns = factor.Columns;
        float damping = (float)factor.Damping;
        for (nint i = 0; i < (nint)rows * columns; i++)
            moments[i] = MathF.FusedMultiplyAdd(damping, weights[i], moments[i]);
        UpperFactor.SolveTransposed(moments, columns, rows, factor.Data, columns, columns, scratch);
        UpperFactor.Solve(moments, columns, rows, factor.Data, columns, columns, scratch);
    }
}
