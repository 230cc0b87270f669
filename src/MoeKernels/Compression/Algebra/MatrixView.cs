namespace MoeKernels.Compression;

/// <summary>A borrowed matrix of floats, row by row or transposed.</summary>
/// <param name="data">First number.</param>
/// <param name="rowStride">Distance of two rows.</param>
/// <param name="columnStride">Distance of two columns; one of the two strides is 1.</param>
internal readonly unsafe struct MatrixView(float* data, nint rowStride, nint columnStride = 1)
{
    /// <summary>First number.</summary>
    public readonly float* Data = data;

    /// <summary>Distance of two rows.</summary>
    public readonly nint RowStride = rowStride;

    /// <summary>Distance of two columns.</summary>
    public readonly nint ColumnStride = columnStride;

    /// <summary>The same numbers with rows and columns exchanged.</summary>
    public MatrixView Transposed => new(Data, ColumnStride, RowStride);

    /// <summary>The part from a row and column on.</summary>
    public MatrixView From(int row, int column) =>
        new(Data + (row * RowStride) + (column * ColumnStride), RowStride, ColumnStride);
}
