namespace MoeKernels.Compression;

/// <summary>Input scales of a codebook: columns whose inputs are large are stored larger, so that rounding spares
/// them.</summary>
internal static class InputScaling
{
    /// <summary>Mean squares below this share of their average count as this share.</summary>
    private const double SmallestShare = 1e-4;

    /// <summary>Root mean square of the stored weights, far from both ends of half precision.</summary>
    private const double StoredSize = 0.25;

    /// <summary>Chooses scales: <c>w[r,k] = scale[r] * vectors[k] * inputScale[k]</c>, with inputScale[k] in proportion
    /// to <c>(mean / diagonal[k])^exponent</c>.</summary>
    /// <param name="diagonal">Mean of H's diagonal over the matrices that share the codebook, [K].</param>
    /// <param name="exponent">0 for equal scales.</param>
    /// <param name="weightSize">Root mean square of the weights; a power of two brings them to a common size, because
    /// rows' scales are kept in half precision.</param>
    /// <returns>Positive numbers that half precision holds exactly, [K].</returns>
    public static float[] Choose(ReadOnlySpan<double> diagonal, double exponent, double weightSize)
    {
        double mean = 0;
        foreach (double square in diagonal)
            mean += square / diagonal.Length;
        double size = weightSize > 0 && double.IsFinite(weightSize)
            ? Math.Pow(2, Math.Round(Math.Log2(weightSize / StoredSize)))
            : 1;

        float[] scales = new float[diagonal.Length];
        for (int k = 0; k < scales.Length; k++)
        {
            double share = mean > 0 ? Math.Max(diagonal[k] / mean, SmallestShare) : 1;
            scales[k] = HalfScale.Nearest(size * Math.Pow(share, -exponent));
        }

        return scales;
    }
}
