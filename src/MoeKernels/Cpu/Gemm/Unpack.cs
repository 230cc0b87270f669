using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>Unpacks a part of one stored weight row to single precision, exactly as <see cref="WeightElement"/>
/// defines it.</summary>
internal static unsafe class Unpack
{
    /// <summary>Writes columns <c>[column, column + count)</c> of a row in groups of sixteen; the last group is padded
    /// with +0.</summary>
    /// <param name="w">The matrix.</param>
    /// <param name="row">Row of <paramref name="w"/>.</param>
    /// <param name="column">First column, a multiple of 32.</param>
    /// <param name="count">Number of columns.</param>
    /// <param name="destination">First group.</param>
    /// <param name="groupStride">Distance between two groups in floats, at least 16.</param>
    public static void Row<T>(in WeightMatrix w, int row, int column, int count, float* destination, nint groupStride)
        where T : struct, IVec16<T>
    {
        byte* data = w.Row(row);
        switch (w.Format)
        {
            case WeightFormat.F32:
                Plain<T, F32Groups>(data + (4 * (nint)column), count, destination, groupStride);
                break;
            case WeightFormat.F16:
                Plain<T, F16Groups>(data + (2 * (nint)column), count, destination, groupStride);
                break;
            case WeightFormat.BF16:
                Plain<T, BF16Groups>(data + (2 * (nint)column), count, destination, groupStride);
                break;
            case WeightFormat.F8E4M3:
                Fp8Scaled<T>(w, row, column, count, destination, groupStride);
                break;
            case WeightFormat.MxFp4:
                MxFp4<T>(w, row, column, count, destination, groupStride);
                break;
            case WeightFormat.Codebook or WeightFormat.TernaryTiles or WeightFormat.GroupedInt:
                Coded<T>(w, row, column, count, destination, groupStride);
                break;
            default:
                throw new MoeUnsupportedException($"weight format {w.Format}");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Plain<T, TGroups>(byte* source, int count, float* destination, nint groupStride)
        where T : struct, IVec16<T>
        where TGroups : struct, IWeightGroups
    {
        int i = 0;
        for (; i <= count - 16; i += 16)
        {
            T.Store(TGroups.Load<T>(source), destination);
            source += 16 * TGroups.Bytes;
            destination += groupStride;
        }

        if (i < count)
            LastGroup<T, TGroups>(source, count - i, destination);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LastGroup<T, TGroups>(byte* source, int count, float* destination)
        where T : struct, IVec16<T>
        where TGroups : struct, IWeightGroups
    {
        byte* padded = stackalloc byte[64];
        new Span<byte>(padded, 64).Clear();
        Buffer.MemoryCopy(source, padded, 64, (long)count * TGroups.Bytes);
        T.Store(TGroups.Load<T>(padded), destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Fp8Scaled<T>(
        in WeightMatrix w, int row, int column, int count, float* destination, nint groupStride)
        where T : struct, IVec16<T>
    {
        byte* source = w.Row(row) + column;
        float* scales = (float*)(w.Scales + ((w.FirstRow + row) / w.BlockRows * w.ScaleRowBytes));
        bool oneScale = w.BlockColumns % 16 == 0;
        for (int i = 0; i < count; i += 16)
        {
            int valid = Math.Min(count - i, 16);
            if (valid < 16)
                LastGroup<T, F8Groups>(source + i, valid, destination);
            else
                T.Store(F8Groups.Load<T>(source + i), destination);

            // Padding stays +0 whatever the scale is.
            if (oneScale && valid == 16)
                T.Store(T.Load(destination) * T.Create(scales[(column + i) / w.BlockColumns]), destination);
            else
                ScaleEach(destination, valid, scales, column + i, w.BlockColumns);
            destination += groupStride;
        }
    }

    private static void ScaleEach(float* values, int count, float* scales, int column, int blockColumns)
    {
        for (int i = 0; i < count; i++)
            values[i] *= scales[(column + i) / blockColumns];
    }

    /// <summary>Exact and slow: for operations that have no lookup kernel.</summary>
    [SkipLocalsInit]
    private static void Coded<T>(
        in WeightMatrix w, int row, int column, int count, float* destination, nint groupStride)
        where T : struct, IVec16<T>
    {
        const int Window = 512;
        float* values = stackalloc float[Window];
        for (int i = 0; i < count; i += Window)
        {
            int valid = Math.Min(count - i, Window);
            int padded = (valid + 15) & ~15;
            if (w.Format == WeightFormat.Codebook)
                CodebookRow.Unpack(w, row, column + i, valid, values);
            else if (w.Format == WeightFormat.GroupedInt)
                IntegerRow.Unpack(w, row, column + i, valid, values);
            else
                TernaryTileRow.Unpack(w, row, column + i, valid, values);
            new Span<float>(values + valid, padded - valid).Clear();
            for (int group = 0; group < padded; group += 16, destination += groupStride)
                T.Store(T.Load(values + group), destination);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MxFp4<T>(
        in WeightMatrix w, int row, int column, int count, float* destination, nint groupStride)
        where T : struct, IVec16<T>
    {
        byte* source = w.Row(row) + (column / 2);
        byte* scales = w.Scales + (row * w.ScaleRowBytes) + (column / 32);
        for (int i = 0; i < count; i += 32)
        {
            T scale = T.Create(WeightElement.PowerOfTwo(*scales++));
            T.Store(T.DecodeFp4(source) * scale, destination);
            T.Store(T.DecodeFp4(source + 8) * scale, destination + groupStride);
            source += 16;
            destination += 2 * groupStride;
        }
    }
}
