using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>One of several matrices that <see cref="CodebookLinear"/> multiplies with the same tables in one parallel
/// region.</summary>
/// <param name="weights">W, [rows × columns].</param>
/// <param name="y">Output, [tokens × rows].</param>
/// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
internal readonly unsafe struct CodebookPart(in CodebookMatrix weights, float* y, nint yStride)
{
    /// <summary>The matrix.</summary>
    public readonly CodebookMatrix Weights = weights;

    /// <summary>First output.</summary>
    public readonly float* Y = y;

    /// <summary>Distance between two tokens of the output in elements.</summary>
    public readonly nint YStride = yStride;
}
