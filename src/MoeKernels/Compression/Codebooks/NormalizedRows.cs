namespace MoeKernels.Compression;

/// <summary>Rows as vectors are fitted to them: divided by the input scales and by their own root mean
/// square.</summary>
internal static unsafe class NormalizedRows
{
    /// <summary>Fills one row, groups in the factor's order.</summary>
    /// <param name="source">Weights, [K].</param>
    /// <param name="inputScales">Input scales, [K].</param>
    /// <param name="factor">Gives the order.</param>
    /// <param name="target">Output, [K].</param>
    /// <returns>The root mean square; 0 for a row of zeros, which stays zero.</returns>
    /// <exception cref="MoeNonFiniteException">A weight is not finite.</exception>
    public static float Fill(float* source, ReadOnlySpan<float> inputScales, DampedFactor factor, float* target)
    {
        double squares = 0;
        int k = 0;
        foreach (int group in factor.Order)
        {
            int first = group * factor.GroupSize;
            for (int i = first; i < Math.Min(first + factor.GroupSize, inputScales.Length); i++, k++)
            {
                target[k] = source[i] / inputScales[i];
                squares += (double)target[k] * target[k];
            }
        }

        float size = (float)Math.Sqrt(squares / inputScales.Length);
        if (!float.IsFinite(size))
            throw new MoeNonFiniteException("quantising", "a weight is not finite");
        float inverse = size > 0 ? 1 / size : 0;
        for (k = 0; k < inputScales.Length; k++)
            target[k] *= float.IsFinite(inverse) ? inverse : 0;
        return float.IsFinite(inverse) ? size : 0;
    }

    /// <summary>Outputs in the metric: <c>V = W M</c>, M upper triangular.</summary>
    /// <param name="rows">W, [count × K].</param>
    /// <param name="count">Rows.</param>
    /// <param name="factor">M.</param>
    /// <param name="result">Output, [count × K].</param>
    /// <param name="scratch">Working memory.</param>
    public static void TimesFactor(float* rows, int count, DampedFactor factor, float* result, Scratch scratch)
    {
        const int Block = 256;
        int columns = factor.Columns;
        System.Runtime.InteropServices.NativeMemory.Clear(result, (nuint)((long)count * columns * sizeof(float)));
        for (int first = 0; first < columns; first += Block)
        {
            int width = Math.Min(Block, columns - first);
            Gemm.Add(
                1, new(rows, columns), factor.View.From(0, first), result + first, columns, count, width,
                first + width, scratch);
        }
    }
}
