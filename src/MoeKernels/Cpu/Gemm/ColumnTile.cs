using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>The inner loops of sums over rows: <c>y[t, c] += Σr x[t, r] w[r, c]</c>, one fused chain per
/// output.</summary>
/// <remarks>Used where a matrix is multiplied from its other side: values by probabilities, transposed
/// projections.</remarks>
internal static unsafe class ColumnTile
{
    /// <summary>Adds <paramref name="rows"/> rows in ascending order.</summary>
    /// <param name="w">Row 0, column 0.</param>
    /// <param name="wStride">Distance between two rows in floats.</param>
    /// <param name="rows">Rows to add.</param>
    /// <param name="groups">Columns in groups of sixteen.</param>
    /// <param name="x">Factor of row 0 for the first token.</param>
    /// <param name="xStride">Distance between two tokens' factors in floats.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="y">Sums of the first token, [groups × 16].</param>
    /// <param name="yStride">Distance between two tokens' sums in floats.</param>
    public static void Add<T>(
        float* w, nint wStride, int rows, int groups, float* x, nint xStride, int tokens, float* y, nint yStride)
        where T : struct, IVec16<T>
    {
        int t = 0;
        for (; T.IsWide && t <= tokens - 4; t += 4)
            Tokens4<T>(w, wStride, rows, groups, x + (t * xStride), xStride, y + (t * yStride), yStride);
        for (; t <= tokens - 2; t += 2)
            Tokens2<T>(w, wStride, rows, groups, x + (t * xStride), xStride, y + (t * yStride), yStride);
        if (t < tokens)
            Token1<T>(w, wStride, rows, groups, x + (t * xStride), y + (t * yStride));
    }

    private static void Tokens4<T>(
        float* w, nint wStride, int rows, int groups, float* x, nint xStride, float* y, nint yStride)
        where T : struct, IVec16<T>
    {
        int g = 0;
        for (; g <= groups - 4; g += 4)
            Add4x4<T>(w + (16 * g), wStride, rows, x, xStride, y + (16 * g), yStride);
        for (int t = 0; g < groups && t < 4; t++)
            Token1<T>(w + (16 * g), wStride, rows, groups - g, x + (t * xStride), y + (t * yStride) + (16 * g));
    }

    private static void Tokens2<T>(
        float* w, nint wStride, int rows, int groups, float* x, nint xStride, float* y, nint yStride)
        where T : struct, IVec16<T>
    {
        int g = 0;
        for (; g <= groups - 2; g += 2)
            Add2x2<T>(w + (16 * g), wStride, rows, x, xStride, y + (16 * g), yStride);
        for (int t = 0; g < groups && t < 2; t++)
            Add1x1<T>(w + (16 * g), wStride, rows, x + (t * xStride), y + (t * yStride) + (16 * g));
    }

    private static void Token1<T>(float* w, nint wStride, int rows, int groups, float* x, float* y)
        where T : struct, IVec16<T>
    {
        int g = 0;
        for (; g <= groups - 4; g += 4)
            Add1x4<T>(w + (16 * g), wStride, rows, x, y + (16 * g));
        for (; g < groups; g++)
            Add1x1<T>(w + (16 * g), wStride, rows, x, y + (16 * g));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add4x4<T>(float* w, nint wStride, int rows, float* x, nint xStride, float* y, nint yStride)
        where T : struct, IVec16<T>
    {
        float* y1 = y + yStride, y2 = y1 + yStride, y3 = y2 + yStride;
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
        T a0 = T.Load(y), a1 = T.Load(y + 16), a2 = T.Load(y + 32), a3 = T.Load(y + 48);
        T b0 = T.Load(y1), b1 = T.Load(y1 + 16), b2 = T.Load(y1 + 32), b3 = T.Load(y1 + 48);
        T c0 = T.Load(y2), c1 = T.Load(y2 + 16), c2 = T.Load(y2 + 32), c3 = T.Load(y2 + 48);
        T d0 = T.Load(y3), d1 = T.Load(y3 + 16), d2 = T.Load(y3 + 32), d3 = T.Load(y3 + 48);
        for (nint r = 0; r < rows; r++)
        {
            T w0 = T.Load(w), w1 = T.Load(w + 16), w2 = T.Load(w + 32), w3 = T.Load(w + 48);
            w += wStride;
            T v = T.Create(x[r]);
            a0 = T.Fma(v, w0, a0);
            a1 = T.Fma(v, w1, a1);
            a2 = T.Fma(v, w2, a2);
            a3 = T.Fma(v, w3, a3);
            v = T.Create(x1[r]);
            b0 = T.Fma(v, w0, b0);
            b1 = T.Fma(v, w1, b1);
            b2 = T.Fma(v, w2, b2);
            b3 = T.Fma(v, w3, b3);
            v = T.Create(x2[r]);
            c0 = T.Fma(v, w0, c0);
            c1 = T.Fma(v, w1, c1);
            c2 = T.Fma(v, w2, c2);
            c3 = T.Fma(v, w3, c3);
            v = T.Create(x3[r]);
            d0 = T.Fma(v, w0, d0);
            d1 = T.Fma(v, w1, d1);
            d2 = T.Fma(v, w2, d2);
            d3 = T.Fma(v, w3, d3);
        }

        Store(a0, a1, a2, a3, y);
        Store(b0, b1, b2, b3, y1);
        Store(c0, c1, c2, c3, y2);
        Store(d0, d1, d2, d3, y3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add2x2<T>(float* w, nint wStride, int rows, float* x, nint xStride, float* y, nint yStride)
        where T : struct, IVec16<T>
    {
        float* y1 = y + yStride;
        float* x1 = x + xStride;
        T a0 = T.Load(y), a1 = T.Load(y + 16);
        T b0 = T.Load(y1), b1 = T.Load(y1 + 16);
        for (nint r = 0; r < rows; r++)
        {
            T w0 = T.Load(w), w1 = T.Load(w + 16);
            w += wStride;
            T v = T.Create(x[r]);
            a0 = T.Fma(v, w0, a0);
            a1 = T.Fma(v, w1, a1);
            v = T.Create(x1[r]);
            b0 = T.Fma(v, w0, b0);
            b1 = T.Fma(v, w1, b1);
        }

        T.Store(a0, y);
        T.Store(a1, y + 16);
        T.Store(b0, y1);
        T.Store(b1, y1 + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add1x4<T>(float* w, nint wStride, int rows, float* x, float* y)
        where T : struct, IVec16<T>
    {
        T a0 = T.Load(y), a1 = T.Load(y + 16), a2 = T.Load(y + 32), a3 = T.Load(y + 48);
        for (nint r = 0; r < rows; r++)
        {
            T v = T.Create(x[r]);
            a0 = T.Fma(v, T.Load(w), a0);
            a1 = T.Fma(v, T.Load(w + 16), a1);
            a2 = T.Fma(v, T.Load(w + 32), a2);
            a3 = T.Fma(v, T.Load(w + 48), a3);
            w += wStride;
        }

        Store(a0, a1, a2, a3, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add1x1<T>(float* w, nint wStride, int rows, float* x, float* y)
        where T : struct, IVec16<T>
    {
        T sum = T.Load(y);
        for (nint r = 0; r < rows; r++)
        {
            sum = T.Fma(T.Create(x[r]), T.Load(w), sum);
            w += wStride;
        }

        T.Store(sum, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T>(T g0, T g1, T g2, T g3, float* y)
        where T : struct, IVec16<T>
    {
        T.Store(g0, y);
        T.Store(g1, y + 16);
        T.Store(g2, y + 32);
        T.Store(g3, y + 48);
    }
}
