namespace MoeKernels.Compression;

/// <summary>Second moments of a row's outputs under the undamped Hessian, rows divided by their scales.</summary>
/// <param name="Wanted"><c>w H wᵀ</c>.</param>
/// <param name="Cross"><c>w H qᵀ</c>.</param>
/// <param name="Coded"><c>q H qᵀ</c>.</param>
internal readonly record struct RowMoments(double Wanted, double Cross, double Coded)
{
    /// <summary>Square error of <c>scale q</c> as <c>size w</c>.</summary>
    public double Error(double size, double scale) =>
        Math.Max((size * size * Wanted) - (2 * size * scale * Cross) + (scale * scale * Coded), 0);

    /// <summary>Reads them off the metric: with v = w M and e = (w - q) M,
    /// <c>w (H + l I) qᵀ = v (v - e)ᵀ</c>.</summary>
    /// <param name="weights">w, [K].</param>
    /// <param name="wanted">v, [K].</param>
    /// <param name="error">e, [K].</param>
    /// <param name="factor">M and l.</param>
    /// <param name="book">Vectors.</param>
    /// <param name="codes">Codes of the row.</param>
    public static unsafe RowMoments Of(
        float* weights, float* wanted, float* error, DampedFactor factor, VectorBook book, byte* codes)
    {
        int columns = factor.Columns;
        float[] rented = System.Buffers.ArrayPool<float>.Shared.Rent(columns);
        Span<float> q = rented.AsSpan(0, columns);
        book.Decode(codes, q);
        double vv = 0, vc = 0, cc = 0, ww = 0, wq = 0, qq = 0;
        for (int k = 0; k < columns; k++)
        {
            double v = wanted[k], c = v - error[k], w = weights[k], coded = q[k];
            vv += v * v;
            vc += v * c;
            cc += c * c;
            ww += w * w;
            wq += w * coded;
            qq += coded * coded;
        }

        System.Buffers.ArrayPool<float>.Shared.Return(rented);
        double damping = factor.Damping;
        return new RowMoments(vv - (damping * ww), vc - (damping * wq), cc - (damping * qq));
    }
}
