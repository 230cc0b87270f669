using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>The values a weight may take: QMoE's three levels, or equidistant ones.</summary>
/// <remarks>
/// A group of weights has two numbers. Ternary: scale is the largest and zero the smallest value, codes 0, 1 and 2
/// mean 0, smallest and largest. Equidistant: <c>value = scale * (code - zero)</c>. Source: arXiv 2310.16795.
/// </remarks>
internal readonly record struct ScalarGrid
{
    private const int TernaryBits = 0;

    private readonly int _bits;

    private ScalarGrid(int bits) => _bits = bits;

    /// <summary>{smallest, 0, largest}: QMoE's "1.5 bits".</summary>
    public static ScalarGrid Ternary => new(TernaryBits);

    /// <summary>Whether the levels are QMoE's three.</summary>
    public bool IsTernary => _bits == TernaryBits;

    /// <summary>Number of different codes.</summary>
    public int Codes => IsTernary ? 3 : 1 << _bits;

    /// <summary>2^bits equidistant levels that contain zero.</summary>
    /// <param name="bits">1 to 8.</param>
    /// <exception cref="ArgumentOutOfRangeException">Another number of bits.</exception>
    public static ScalarGrid Uniform(int bits)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bits, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bits, 8);
        return new ScalarGrid(bits);
    }

    /// <summary>The value of a code.</summary>
    public float Value(byte code, float scale, float zero) =>
        !IsTernary ? scale * (code - zero) : code == 0 ? 0 : code == 1 ? zero : scale;

    /// <summary>The two numbers of a group whose smallest and largest weights are given; its range includes
    /// 0.</summary>
    public void Fit(float smallest, float largest, out float scale, out float zero)
    {
        float low = Math.Min(0, smallest);
        float high = Math.Max(0, largest);
        if (low == 0 && high == 0)
            (low, high) = (-1, 1);

        scale = IsTernary ? high : (high - low) / (Codes - 1);
        zero = IsTernary ? low : MathF.Round(-low / scale);
    }

    /// <summary>The nearest values of sixteen weights of as many groups, and their codes as numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> Round(
        Vector512<float> x, Vector512<float> scale, Vector512<float> zero, out Vector512<float> codes)
    {
        if (!IsTernary)
        {
            Vector512<float> top = Vector512.Create(Codes - 1f);
            codes = Vector512.Min(Vector512.Max(Vector512.Round(x / scale) + zero, Vector512<float>.Zero), top);
            return scale * (codes - zero);
        }

        // Strict comparisons: half of a level still rounds to zero, and a level that is zero keeps code 0.
        Vector512<float> half = Vector512.Create(.5f);
        Vector512<float> isHigh = Vector512.GreaterThan(x, scale * half)
            & Vector512.GreaterThan(scale, Vector512<float>.Zero);
        Vector512<float> isLow = Vector512.LessThan(x, zero * half)
            & Vector512.LessThan(zero, Vector512<float>.Zero);
        codes = (isHigh & Vector512.Create(2f)) | (isLow & Vector512<float>.One);
        return (isHigh & scale) | (isLow & zero);
    }
}
