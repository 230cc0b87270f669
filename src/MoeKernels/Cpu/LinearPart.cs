namespace MoeKernels.Cpu;

/// <summary>One of several matrices that <see cref="Linear"/> multiplies with the same input in one parallel
/// region.</summary>
/// <param name="weights">W, [rows × columns].</param>
/// <param name="bias">[rows] or null.</param>
/// <param name="y">Output, [tokens × rows].</param>
/// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
internal readonly unsafe struct LinearPart(in WeightMatrix weights, float* bias, float* y, nint yStride)
{
    /// <summary>The matrix.</summary>
    public readonly WeightMatrix Weights = weights;

    /// <summary>Added to each output row, or null.</summary>
    public readonly float* Bias = bias;

    /// <summary>First output.</summary>
    public readonly float* Y = y;

    /// <summary>Distance between two tokens of the output in elements.</summary>
    public readonly nint YStride = yStride;
}
