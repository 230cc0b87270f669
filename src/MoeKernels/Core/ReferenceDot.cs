namespace MoeKernels;

/// <summary>The library's one order of summation, in plain loops: what every matrix kernel computes, to the last
/// bit.</summary>
internal static unsafe class ReferenceDot
{
    /// <summary>Partial sums of a dot product.</summary>
    public const int Lanes = 16;

    /// <summary><c>Σk w[row, k] x[k]</c>: 16 partial sums by k mod 16, each ascending in k with fused multiply-add from
    /// +0, the last step padded with zeros, then <see cref="Tree"/>.</summary>
    public static float Row(in WeightMatrix w, int row, float* x)
    {
        float* sums = stackalloc float[Lanes];
        new Span<float>(sums, Lanes).Clear();
        int padded = (w.Columns + Lanes - 1) / Lanes * Lanes;
        for (int k = 0; k < padded; k++)
        {
            float weight = k < w.Columns ? WeightElement.Get(w, row, k) : 0f;
            float value = k < w.Columns ? x[k] : 0f;
            sums[k % Lanes] = MathF.FusedMultiplyAdd(weight, value, sums[k % Lanes]);
        }

        return Tree(sums);
    }

    /// <summary>Adds 16 partial sums in place: halves onto halves.</summary>
    public static float Tree(float* sums)
    {
        for (int width = Lanes / 2; width > 0; width /= 2)
        {
            for (int j = 0; j < width; j++)
                sums[j] += sums[j + width];
        }

        return sums[0];
    }
}
