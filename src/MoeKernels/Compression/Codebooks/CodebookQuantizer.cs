using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Codes whole matrices with a trained codebook.</summary>
internal static unsafe class CodebookQuantizer
{
    /// <summary>Beyond four, time grows faster than quality.</summary>
    public const int DefaultBeams = 4;

    /// <summary>Bounds of the correction of a row's scale.</summary>
    private const double SmallestGain = 0.5, LargestGain = 3;

    /// <summary>Codes a matrix.</summary>
    /// <param name="target">Weights wanted, W', [rows × K].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="factor">Factor of the damped Hessian under the codebook's input scales; matrices with the same
    /// inputs and codebook share it.</param>
    /// <param name="codebook">Vectors.</param>
    /// <param name="scratch">Working memory.</param>
    /// <param name="beams">Alternatives kept per row while codes are chosen; 1 takes the nearest vector.</param>
    /// <exception cref="MoeNonFiniteException">A weight is not finite.</exception>
    public static QuantizedMatrix Quantize(
        float* target, int rows, DampedFactor factor, TrainedCodebook codebook, Scratch scratch,
        int beams = DefaultBeams)
    {
        using Scratch.Frame frame = scratch.Begin();
        using VectorBook book = codebook.ToBook();
        int columns = factor.Columns;
        if (factor.GroupSize != codebook.Dimension)
            throw new ArgumentException("The factor's groups are not those of the codebook.", nameof(factor));
        CodebookShape shape = new(rows, columns, codebook.Dimension, codebook.Stages);
        long numbers = (long)rows * columns;
        float* weights = scratch.Floats(numbers), wanted = scratch.Floats(numbers), error = scratch.Floats(numbers);
        float[] sizes = new float[rows];
        for (int row = 0; row < rows; row++)
        {
            nint offset = (nint)row * columns;
            sizes[row] = NormalizedRows.Fill(target + offset, codebook.InputScales, factor, weights + offset);
        }

        NormalizedRows.TimesFactor(weights, rows, factor, wanted, scratch);
        Buffer.MemoryCopy(wanted, error, numbers * sizeof(float), numbers * sizeof(float));
        byte[] codes = new byte[(long)rows * shape.Entries];
        ushort[] scales = new ushort[shape.PaddedRows];
        double lost = 0, energy = 0;
        fixed (byte* first = codes)
        {
            VectorGptq.Run(factor, book, beams, error, rows, first, scratch);
            for (int row = 0; row < rows; row++)
            {
                nint offset = (nint)row * columns;
                RowMoments moments = RowMoments.Of(
                    weights + offset, wanted + offset, error + offset, factor, book, first + (row * shape.Entries));
                double gain = Math.Clamp(
                    moments.Wanted / Math.Max(moments.Cross, 1e-9), SmallestGain, LargestGain);
                scales[row] = HalfScale.Bits(gain * sizes[row] * codebook.Step);
                double scale = (double)BitConverter.UInt16BitsToHalf(scales[row]) / codebook.Step;
                energy += (double)sizes[row] * sizes[row] * moments.Wanted;
                lost += moments.Error(sizes[row], scale);
            }

            Restore(first, shape, factor.Order);
            Balance(codes, shape, codebook);
        }

        return new QuantizedMatrix(shape, codes, scales, lost, energy);
    }

    /// <summary>Puts the codes of each row into the order of the columns.</summary>
    private static void Restore(byte* codes, CodebookShape shape, ReadOnlySpan<int> order)
    {
        Span<byte> row = new byte[shape.Entries];
        for (int r = 0; r < shape.Rows; r++, codes += shape.Entries)
        {
            Span<byte> own = new(codes, shape.Entries);
            own.CopyTo(row);
            for (int place = 0; place < order.Length; place++)
                row.Slice(place * shape.Stages, shape.Stages).CopyTo(own[(order[place] * shape.Stages)..]);
        }
    }

    /// <summary>A vector of zeros counts as half a table step with the sign of its code: signs alternate.</summary>
    private static void Balance(byte[] codes, CodebookShape shape, TrainedCodebook codebook)
    {
        bool[] zero = new bool[shape.Stages * VectorTable.Count];
        for (int v = 0; v < zero.Length; v++)
            zero[v] = !codebook.Vectors.AsSpan(v * shape.Dimension, shape.Dimension).ContainsAnyExcept((sbyte)0);
        if (!zero.Contains(true))
            return;

        int seen = 0;
        for (int i = 0; i < codes.Length; i++)
        {
            int v = codes[i] & 127;
            if (i % shape.Entries == 0)
                seen = i / shape.Entries;
            if (zero[(i % shape.Stages * VectorTable.Count) + v])
                codes[i] = (byte)(v + (seen++ % 2 * VectorTable.Count));
        }
    }
}
