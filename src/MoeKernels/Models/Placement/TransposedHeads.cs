using MoeKernels.Models.Loading;

namespace MoeKernels.Models.Placement;

/// <summary>Transposed copies of matrices in host memory, for products from the other side: they live while a layer is
/// being placed.</summary>
/// <remarks>In their stored width where elements stand alone, or where every matrix begins with a block of fp8 scales;
/// else widened to fp32, exactly.</remarks>
internal sealed unsafe class TransposedHeads : IDisposable
{
    private readonly NativeBuffer _data;
    private readonly NativeBuffer? _scales;

    /// <summary>Transposes.</summary>
    /// <param name="heads">Matrices of one shape and format.</param>
    /// <param name="what">What they are, for errors.</param>
    /// <exception cref="MoeOutOfMemoryException">The host has no room for the copies.</exception>
    public TransposedHeads(WeightMatrix[] heads, string what)
    {
        WeightMatrix first = heads[0];
        bool keepsScales = first.Format == WeightFormat.F8E4M3
            && Array.TrueForAll(heads, head => head.FirstRow % head.BlockRows == 0);
        int width = first.Format switch
        {
            WeightFormat.F16 or WeightFormat.BF16 => sizeof(ushort),
            WeightFormat.F8E4M3 when keepsScales => sizeof(byte),
            _ => sizeof(float),
        };
        long matrixBytes = (long)first.Rows * first.Columns * width;
        long scaleBytes = keepsScales ? ScaleRows(first) * first.ScaleRowBytes : 0;
        Matrices = new WeightMatrix[heads.Length];
        _data = NativeBuffer.Allocate(matrixBytes * heads.Length, what);
        try
        {
            _scales = keepsScales ? NativeBuffer.Allocate(scaleBytes * heads.Length, what) : null;
        }
        catch
        {
            _data.Dispose();
            throw;
        }

        Parallel.For(0, heads.Length, h =>
        {
            byte* data = _data.Pointer + (h * matrixBytes);
            Matrices[h] = width switch
            {
                sizeof(byte) => Scaled(heads[h], data, (float*)(_scales!.Pointer + (h * scaleBytes))),
                sizeof(ushort) => Halves(heads[h], (ushort*)data),
                _ => Widened(heads[h], (float*)data),
            };
        });
    }

    /// <summary>Views of the copies, [columns × rows] of the stored matrices.</summary>
    public WeightMatrix[] Matrices { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _data.Dispose();
        _scales?.Dispose();
    }

    private static long ScaleRows(in WeightMatrix w) => (w.Rows + w.BlockRows - 1L) / w.BlockRows;

    private static WeightMatrix Scaled(in WeightMatrix w, byte* data, float* scales)
    {
        WeightTransposer.Transpose(w.Data, w.RowBytes, data, w.Rows, w.Columns);
        byte* stored = w.Scales + (w.FirstRow / w.BlockRows * w.ScaleRowBytes);
        WeightTransposer.Transpose(
            stored, w.ScaleRowBytes, scales, (int)ScaleRows(w), (int)(w.ScaleRowBytes / sizeof(float)));
        return WeightMatrix.F8(data, w.Columns, w.Rows, scales, w.BlockColumns, w.BlockRows);
    }

    private static WeightMatrix Halves(in WeightMatrix w, ushort* data)
    {
        WeightTransposer.Transpose(w.Data, w.RowBytes, data, w.Rows, w.Columns);
        return new WeightMatrix(w.Format, data, w.Columns, w.Rows, (nint)w.Rows * sizeof(ushort));
    }

    private static WeightMatrix Widened(in WeightMatrix w, float* data)
    {
        for (int row = 0; row < w.Rows; row++)
        {
            for (int column = 0; column < w.Columns; column++)
                data[((nint)column * w.Rows) + row] = WeightElement.Get(w, row, column);
        }

        return new WeightMatrix(WeightFormat.F32, data, w.Columns, w.Rows, (nint)w.Rows * sizeof(float));
    }
}
