using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>One token times many rows: weights go straight from memory into the sums, four rows side by side.</summary>
/// <remarks>One row alone would be a single chain of dependent additions and slower than memory.</remarks>
internal static unsafe class RowStream
{
    /// <summary>Computes <c>y[r] = Σk w[r, k] x[k]</c>.</summary>
    /// <param name="data">First byte of the first row.</param>
    /// <param name="rowBytes">Distance between two rows.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="x">[columns].</param>
    /// <param name="y">[rows].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Forward<T, TGroups>(byte* data, nint rowBytes, int rows, int columns, float* x, float* y)
        where T : struct, IVec16<T>
        where TGroups : struct, IWeightGroups
    {
        int r = 0;
        for (; r <= rows - 4; r += 4)
        {
            Four<T, TGroups>(data, data + rowBytes, data + (2 * rowBytes), data + (3 * rowBytes), columns, x, y + r);
            data += 4 * rowBytes;
        }

        if (r < rows)
        {
            // The last rows stand in for the missing ones.
            float* last = stackalloc float[4];
            nint second = rows - r > 1 ? rowBytes : 0;
            nint third = rows - r > 2 ? 2 * rowBytes : second;
            Four<T, TGroups>(data, data + second, data + third, data + third, columns, x, last);
            for (int i = 0; r + i < rows; i++)
                y[r + i] = last[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<T, TGroups>(byte* w0, byte* w1, byte* w2, byte* w3, int columns, float* x, float* y)
        where T : struct, IVec16<T>
        where TGroups : struct, IWeightGroups
    {
        T s0 = T.Zero, s1 = T.Zero, s2 = T.Zero, s3 = T.Zero;
        nint whole = columns & ~15;
        for (nint k = 0; k < whole; k += 16)
        {
            T v = T.Load(x + k);
            s0 = T.Fma(TGroups.Load<T>(w0 + (k * TGroups.Bytes)), v, s0);
            s1 = T.Fma(TGroups.Load<T>(w1 + (k * TGroups.Bytes)), v, s1);
            s2 = T.Fma(TGroups.Load<T>(w2 + (k * TGroups.Bytes)), v, s2);
            s3 = T.Fma(TGroups.Load<T>(w3 + (k * TGroups.Bytes)), v, s3);
        }

        if (whole < columns)
        {
            int rest = columns - (int)whole;
            nint offset = whole * TGroups.Bytes;
            T v = VecTail.Load<T>(x + whole, rest);
            s0 = T.Fma(Last<T, TGroups>(w0 + offset, rest), v, s0);
            s1 = T.Fma(Last<T, TGroups>(w1 + offset, rest), v, s1);
            s2 = T.Fma(Last<T, TGroups>(w2 + offset, rest), v, s2);
            s3 = T.Fma(Last<T, TGroups>(w3 + offset, rest), v, s3);
        }

        T.Sum4(s0, s1, s2, s3, y);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static T Last<T, TGroups>(byte* source, int count)
        where T : struct, IVec16<T>
        where TGroups : struct, IWeightGroups
    {
        byte* padded = stackalloc byte[64];
        new Span<byte>(padded, 64).Clear();
        Buffer.MemoryCopy(source, padded, 64, (long)count * TGroups.Bytes);
        return TGroups.Load<T>(padded);
    }
}
