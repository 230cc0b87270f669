namespace MoeKernels.Compression;

/// <summary>One matrix to be quantised: what it should become and for which inputs.</summary>
/// <remarks>Gate and up of an expert share the moments; whoever made the problem keeps the memory.</remarks>
internal unsafe struct MatrixProblem
{
    /// <summary>The wanted matrix, [rows × columns].</summary>
    public float* Target;

    /// <summary>Moments of the inputs, <c>H = Xᵀ X / n</c>, upper triangle of [columns × columns]; null where the
    /// calibration text has no token for the matrix.</summary>
    public float* Moments;

    /// <summary>Outputs.</summary>
    public int Rows;

    /// <summary>Inputs.</summary>
    public int Columns;
}
