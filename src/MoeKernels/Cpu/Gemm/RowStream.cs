using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>One token times many rows: weights go straight from memory into the sums.</summary>
/// <remarks>
/// One row alone is a single chain of dependent additions and slower than memory, so four rows run side by side. They
/// are a quarter of the block apart, not neighbours: each of the four streams then reads on from row to row, and the
/// hardware's prefetchers, which lose 100 ns at every start, keep up. Neighbouring rows restart all streams every row.
/// </remarks>
internal static unsafe class RowStream
{
    /// <summary>Computes <c>y[r] = Σk w[row + r, k] x[k]</c>.</summary>
    /// <param name="w">The whole matrix.</param>
    /// <param name="row">First row.</param>
    /// <param name="rows">Number of rows; the more, the longer the streams.</param>
    /// <param name="x">[columns].</param>
    /// <param name="y">[rows].</param>
    public static void Forward<T>(in WeightMatrix w, int row, int rows, float* x, float* y)
        where T : struct, IVec16<T>
    {
        switch (w.Format)
        {
            case WeightFormat.BF16:
                Direct<T, BF16Groups>(w, row, rows, x, y);
                break;
            case WeightFormat.F32:
                Direct<T, F32Groups>(w, row, rows, x, y);
                break;
            case WeightFormat.F16:
                Direct<T, F16Groups>(w, row, rows, x, y);
                break;
            default:
                Unpacked<T>(w, row, rows, x, y);
                break;
        }
    }

    [SkipLocalsInit]
    private static void Direct<T, TGroups>(in WeightMatrix w, int row, int rows, float* x, float* y)
        where T : struct, IVec16<T>
        where TGroups : struct, IWeightGroups
    {
        float* sums = stackalloc float[4];
        Quads quads = new(rows);
        for (int i = 0; i < quads.Count; i++)
        {
            quads.Rows(i, out int a, out int b, out int c, out int d);
            Four<T, TGroups>(w.Row(row + a), w.Row(row + b), w.Row(row + c), w.Row(row + d), w.Columns, x, sums);
            y[a] = sums[0];
            y[b] = sums[1];
            y[c] = sums[2];
            y[d] = sums[3];
        }
    }

    // The formats with scales are unpacked block by block into the first-level cache.
    [SkipLocalsInit]
    private static void Unpacked<T>(in WeightMatrix w, int row, int rows, float* x, float* y)
        where T : struct, IVec16<T>
    {
        const int Columns = 1024;
        byte* memory = stackalloc byte[(sizeof(float) * ((DotTile.Rows * (Columns + 17)) + 16)) + 64];
        float* panel = (float*)(((nint)memory + 63) & ~63);
        float* sums = panel + (DotTile.Rows * Columns);
        float* tail = sums + (DotTile.Rows * 16);
        float* results = tail + 16;
        Quads quads = new(rows);
        for (int i = 0; i < quads.Count; i++)
        {
            quads.Rows(i, out int a, out int b, out int c, out int d);
            new Span<float>(sums, DotTile.Rows * 16).Clear();
            for (int column = 0; column < w.Columns; column += Columns)
            {
                int count = Math.Min(Columns, w.Columns - column);
                Unpack.Row<T>(w, row + a, column, count, panel, DotTile.Step);
                Unpack.Row<T>(w, row + b, column, count, panel + 16, DotTile.Step);
                Unpack.Row<T>(w, row + c, column, count, panel + 32, DotTile.Step);
                Unpack.Row<T>(w, row + d, column, count, panel + 48, DotTile.Step);
                DotTile.Add<T>(panel, count / 16, x + column, 0, 1, sums, 16);
                if (count % 16 != 0)
                {
                    T.Store(VecTail.Load<T>(x + column + (count & ~15), count & 15), tail);
                    DotTile.Add<T>(panel + (count / 16 * DotTile.Step), 1, tail, 0, 1, sums, 16);
                }
            }

            T.Sum4(T.Load(sums), T.Load(sums + 16), T.Load(sums + 32), T.Load(sums + 48), results);
            y[a] = results[0];
            y[b] = results[1];
            y[c] = results[2];
            y[d] = results[3];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<T, TGroups>(byte* w0, byte* w1, byte* w2, byte* w3, int columns, float* x, float* y)
        where T : struct, IVec16<T>
        where TGroups : struct, IWeightGroups
    {
        // The padded last step is read before the loop: a call behind it would keep the sums in memory.
        nint whole = columns & ~15;
        int rest = columns - (int)whole;
        T x4 = T.Zero, l0 = T.Zero, l1 = T.Zero, l2 = T.Zero, l3 = T.Zero;
        if (rest != 0)
        {
            nint offset = whole * TGroups.Bytes;
            x4 = VecTail.Load<T>(x + whole, rest);
            l0 = Last<T, TGroups>(w0 + offset, rest);
            l1 = Last<T, TGroups>(w1 + offset, rest);
            l2 = Last<T, TGroups>(w2 + offset, rest);
            l3 = Last<T, TGroups>(w3 + offset, rest);
        }

        T s0 = T.Zero, s1 = T.Zero, s2 = T.Zero, s3 = T.Zero;
        for (nint k = 0; k < whole; k += 16)
        {
            T v = T.Load(x + k);
            s0 = T.Fma(TGroups.Load<T>(w0 + (k * TGroups.Bytes)), v, s0);
            s1 = T.Fma(TGroups.Load<T>(w1 + (k * TGroups.Bytes)), v, s1);
            s2 = T.Fma(TGroups.Load<T>(w2 + (k * TGroups.Bytes)), v, s2);
            s3 = T.Fma(TGroups.Load<T>(w3 + (k * TGroups.Bytes)), v, s3);
        }

        if (rest != 0)
        {
            s0 = T.Fma(l0, x4, s0);
            s1 = T.Fma(l1, x4, s1);
            s2 = T.Fma(l2, x4, s2);
            s3 = T.Fma(l3, x4, s3);
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

    /// <summary>Deals rows into groups of four, a quarter apart; in the last groups a row may appear twice.</summary>
    private readonly struct Quads(int rows)
    {
        /// <summary>Groups, and the distance between the rows of one.</summary>
        public readonly int Count = (rows + 3) / 4;

        public void Rows(int group, out int a, out int b, out int c, out int d)
        {
            a = group;
            b = Math.Min(a + Count, rows - 1);
            c = Math.Min(b + Count, rows - 1);
            d = Math.Min(c + Count, rows - 1);
        }
    }
}
