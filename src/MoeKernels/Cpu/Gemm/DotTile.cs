using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>
/// The inner loops of the panel product: sums of four weight rows times some tokens, sixteen partial sums each.
/// </summary>
/// <remarks>
/// A panel holds <see cref="Rows"/> unpacked rows step by step, [steps × 4 × 16]. Sums are [4 × pitch × 16] in memory
/// and in registers while a tile runs; a tile goes on where the sums stand, so columns can be taken in blocks.
/// </remarks>
internal static unsafe class DotTile
{
    /// <summary>Weight rows of a panel.</summary>
    public const int Rows = 4;

    /// <summary>Floats of one step of a panel.</summary>
    public const int Step = Rows * 16;

    /// <summary>Most tokens a tile takes: with four rows 24 accumulators, 4 weights and one input fill 32
    /// registers.</summary>
    public const int Tokens = 6;

    /// <summary>Adds the products of all tokens.</summary>
    /// <param name="panel">Weights, [steps × 4 × 16].</param>
    /// <param name="steps">Steps of sixteen columns.</param>
    /// <param name="x">Input of the first token.</param>
    /// <param name="xStride">Distance between two tokens in floats.</param>
    /// <param name="tokens">At most <see cref="Tokens"/>.</param>
    /// <param name="sums">Sums of row 0, token 0.</param>
    /// <param name="pitch">Distance between the sums of two rows in floats.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add<T>(
        float* panel, int steps, float* x, nint xStride, int tokens, float* sums, nint pitch)
        where T : struct, IVec16<T>
    {
        if (T.IsWide)
        {
            if (tokens == 6)
            {
                Add4x6<T>(panel, steps, x, xStride, sums, pitch);
                return;
            }

            if (tokens >= 4)
            {
                Add4x4<T>(panel, steps, x, xStride, sums, pitch);
                x += 4 * xStride;
                sums += 64;
                tokens -= 4;
            }
        }

        for (; tokens >= 2; tokens -= 2)
        {
            Add2x2<T>(panel, steps, x, xStride, sums, pitch);
            Add2x2<T>(panel + 32, steps, x, xStride, sums + (2 * pitch), pitch);
            x += 2 * xStride;
            sums += 32;
        }

        if (tokens != 0)
            Add4x1<T>(panel, steps, x, sums, pitch);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add4x6<T>(float* panel, int steps, float* x, nint xStride, float* sums, nint pitch)
        where T : struct, IVec16<T>
    {
        float* s1 = sums + pitch, s2 = s1 + pitch, s3 = s2 + pitch;
        T a0 = T.Load(sums), a1 = T.Load(s1), a2 = T.Load(s2), a3 = T.Load(s3);
        T b0 = T.Load(sums + 16), b1 = T.Load(s1 + 16), b2 = T.Load(s2 + 16), b3 = T.Load(s3 + 16);
        T c0 = T.Load(sums + 32), c1 = T.Load(s1 + 32), c2 = T.Load(s2 + 32), c3 = T.Load(s3 + 32);
        T d0 = T.Load(sums + 48), d1 = T.Load(s1 + 48), d2 = T.Load(s2 + 48), d3 = T.Load(s3 + 48);
        T e0 = T.Load(sums + 64), e1 = T.Load(s1 + 64), e2 = T.Load(s2 + 64), e3 = T.Load(s3 + 64);
        T f0 = T.Load(sums + 80), f1 = T.Load(s1 + 80), f2 = T.Load(s2 + 80), f3 = T.Load(s3 + 80);
        float* xb = x + xStride, xc = xb + xStride, xd = xc + xStride, xe = xd + xStride, xf = xe + xStride;
        for (nint k = 0; k < (nint)steps * 16; k += 16)
        {
            T w0 = T.Load(panel), w1 = T.Load(panel + 16), w2 = T.Load(panel + 32), w3 = T.Load(panel + 48);
            panel += Step;
            T v = T.Load(x + k);
            a0 = T.Fma(w0, v, a0);
            a1 = T.Fma(w1, v, a1);
            a2 = T.Fma(w2, v, a2);
            a3 = T.Fma(w3, v, a3);
            v = T.Load(xb + k);
            b0 = T.Fma(w0, v, b0);
            b1 = T.Fma(w1, v, b1);
            b2 = T.Fma(w2, v, b2);
            b3 = T.Fma(w3, v, b3);
            v = T.Load(xc + k);
            c0 = T.Fma(w0, v, c0);
            c1 = T.Fma(w1, v, c1);
            c2 = T.Fma(w2, v, c2);
            c3 = T.Fma(w3, v, c3);
            v = T.Load(xd + k);
            d0 = T.Fma(w0, v, d0);
            d1 = T.Fma(w1, v, d1);
            d2 = T.Fma(w2, v, d2);
            d3 = T.Fma(w3, v, d3);
            v = T.Load(xe + k);
            e0 = T.Fma(w0, v, e0);
            e1 = T.Fma(w1, v, e1);
            e2 = T.Fma(w2, v, e2);
            e3 = T.Fma(w3, v, e3);
            v = T.Load(xf + k);
            f0 = T.Fma(w0, v, f0);
            f1 = T.Fma(w1, v, f1);
            f2 = T.Fma(w2, v, f2);
            f3 = T.Fma(w3, v, f3);
        }

        Store(a0, a1, a2, a3, sums, pitch);
        Store(b0, b1, b2, b3, sums + 16, pitch);
        Store(c0, c1, c2, c3, sums + 32, pitch);
        Store(d0, d1, d2, d3, sums + 48, pitch);
        Store(e0, e1, e2, e3, sums + 64, pitch);
        Store(f0, f1, f2, f3, sums + 80, pitch);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add4x4<T>(float* panel, int steps, float* x, nint xStride, float* sums, nint pitch)
        where T : struct, IVec16<T>
    {
        float* s1 = sums + pitch, s2 = s1 + pitch, s3 = s2 + pitch;
        T a0 = T.Load(sums), a1 = T.Load(s1), a2 = T.Load(s2), a3 = T.Load(s3);
        T b0 = T.Load(sums + 16), b1 = T.Load(s1 + 16), b2 = T.Load(s2 + 16), b3 = T.Load(s3 + 16);
        T c0 = T.Load(sums + 32), c1 = T.Load(s1 + 32), c2 = T.Load(s2 + 32), c3 = T.Load(s3 + 32);
        T d0 = T.Load(sums + 48), d1 = T.Load(s1 + 48), d2 = T.Load(s2 + 48), d3 = T.Load(s3 + 48);
        float* xb = x + xStride, xc = xb + xStride, xd = xc + xStride;
        for (nint k = 0; k < (nint)steps * 16; k += 16)
        {
            T w0 = T.Load(panel), w1 = T.Load(panel + 16), w2 = T.Load(panel + 32), w3 = T.Load(panel + 48);
            panel += Step;
            T v = T.Load(x + k);
            a0 = T.Fma(w0, v, a0);
            a1 = T.Fma(w1, v, a1);
            a2 = T.Fma(w2, v, a2);
            a3 = T.Fma(w3, v, a3);
            v = T.Load(xb + k);
            b0 = T.Fma(w0, v, b0);
            b1 = T.Fma(w1, v, b1);
            b2 = T.Fma(w2, v, b2);
            b3 = T.Fma(w3, v, b3);
            v = T.Load(xc + k);
            c0 = T.Fma(w0, v, c0);
            c1 = T.Fma(w1, v, c1);
            c2 = T.Fma(w2, v, c2);
            c3 = T.Fma(w3, v, c3);
            v = T.Load(xd + k);
            d0 = T.Fma(w0, v, d0);
            d1 = T.Fma(w1, v, d1);
            d2 = T.Fma(w2, v, d2);
            d3 = T.Fma(w3, v, d3);
        }

        Store(a0, a1, a2, a3, sums, pitch);
        Store(b0, b1, b2, b3, sums + 16, pitch);
        Store(c0, c1, c2, c3, sums + 32, pitch);
        Store(d0, d1, d2, d3, sums + 48, pitch);
    }

    // Two rows and two tokens: with eight lanes a register, 8 accumulators, 4 weights and 2 inputs fit 16 registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add2x2<T>(float* panel, int steps, float* x, nint xStride, float* sums, nint pitch)
        where T : struct, IVec16<T>
    {
        float* s1 = sums + pitch;
        T a0 = T.Load(sums), a1 = T.Load(s1);
        T b0 = T.Load(sums + 16), b1 = T.Load(s1 + 16);
        float* xb = x + xStride;
        for (nint k = 0; k < (nint)steps * 16; k += 16)
        {
            T w0 = T.Load(panel), w1 = T.Load(panel + 16);
            panel += Step;
            T v = T.Load(x + k);
            a0 = T.Fma(w0, v, a0);
            a1 = T.Fma(w1, v, a1);
            v = T.Load(xb + k);
            b0 = T.Fma(w0, v, b0);
            b1 = T.Fma(w1, v, b1);
        }

        T.Store(a0, sums);
        T.Store(a1, s1);
        T.Store(b0, sums + 16);
        T.Store(b1, s1 + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add4x1<T>(float* panel, int steps, float* x, float* sums, nint pitch)
        where T : struct, IVec16<T>
    {
        float* s1 = sums + pitch, s2 = s1 + pitch, s3 = s2 + pitch;
        T a0 = T.Load(sums), a1 = T.Load(s1), a2 = T.Load(s2), a3 = T.Load(s3);
        for (nint k = 0; k < (nint)steps * 16; k += 16)
        {
            T v = T.Load(x + k);
            a0 = T.Fma(T.Load(panel), v, a0);
            a1 = T.Fma(T.Load(panel + 16), v, a1);
            a2 = T.Fma(T.Load(panel + 32), v, a2);
            a3 = T.Fma(T.Load(panel + 48), v, a3);
            panel += Step;
        }

        Store(a0, a1, a2, a3, sums, pitch);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T>(T r0, T r1, T r2, T r3, float* sums, nint pitch)
        where T : struct, IVec16<T>
    {
        T.Store(r0, sums);
        T.Store(r1, sums + pitch);
        T.Store(r2, sums + (2 * pitch));
        T.Store(r3, sums + (3 * pitch));
    }
}
