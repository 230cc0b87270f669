using System.Diagnostics;

namespace MoeKernels;

/// <summary>How the elements of a <see cref="WeightMatrix"/> are stored. Nothing is widened in memory.</summary>
public enum WeightFormat
{
    /// <summary>IEEE 754 single precision, 4 bytes an element.</summary>
    F32,

    /// <summary>IEEE 754 half precision, 2 bytes an element.</summary>
    F16,

    /// <summary>The upper half of a single, 2 bytes an element.</summary>
    BF16,

    /// <summary>8-bit e4m3 (finite, no infinities) with one fp32 scale per block of rows and columns.</summary>
    F8E4M3,

    /// <summary>OCP MXFP4: blocks of 32 e2m1 values, low nibble first, one e8m0 scale byte per block.</summary>
    MxFp4,

    /// <summary>Trained codebooks: a byte stands for a signed vector of several neighbouring weights of a row, in the
    /// order of the lookup kernels, with one fp16 scale per row (<c>Packed/Codebook/FORMAT.md</c>).</summary>
    Codebook,

    /// <summary>Three levels per row, 0 and two bf16 numbers: the columns of the members of tiles of 64 rows and 128
    /// columns, in the order of the tile kernels.</summary>
    TernaryTiles,

    /// <summary>Integers of a few bits, with an fp16 scale and a zero point per row and 64 columns
    /// (<c>Packed/Integer/FORMAT.md</c>).</summary>
    GroupedInt,
}

/// <summary>
/// A borrowed view of a row-major weight matrix [rows × columns] in its stored format; one row is one output of
/// <c>y = W x</c>. It owns nothing: whoever made it keeps the memory alive.
/// </summary>
/// <remarks>Rows may be strided, so that interleaved gate/up rows and one expert of a fused tensor are views
/// too.</remarks>
[DebuggerDisplay("{Format} [{Rows} x {Columns}]")]
public readonly unsafe struct WeightMatrix
{
    /// <summary>Describes a matrix without scales.</summary>
    /// <param name="format">F32, F16 or BF16.</param>
    /// <param name="data">First element of the first row; any alignment.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs.</param>
    /// <param name="rowBytes">Distance between rows in bytes.</param>
    public WeightMatrix(WeightFormat format, void* data, int rows, int columns, nint rowBytes)
        : this(format, data, rows, columns, rowBytes, null, 0, 0, 1, 1)
    {
    }

    private WeightMatrix(
        WeightFormat format,
        void* data,
        int rows,
        int columns,
        nint rowBytes,
        void* scales,
        nint scaleRowBytes,
        int firstRow,
        int blockRows,
        int blockColumns,
        CodebookVectors* vectors = null,
        int codeBits = 0)
    {
        Format = format;
        Data = (byte*)data;
        Rows = rows;
        Columns = columns;
        RowBytes = rowBytes;
        Scales = (byte*)scales;
        ScaleRowBytes = scaleRowBytes;
        FirstRow = firstRow;
        BlockRows = blockRows;
        BlockColumns = blockColumns;
        Vectors = vectors;
        CodeBits = codeBits;
    }

    /// <summary>Storage of the elements.</summary>
    public WeightFormat Format { get; }

    /// <summary>First byte of the first row.</summary>
    public byte* Data { get; }

    /// <summary>Number of outputs.</summary>
    public int Rows { get; }

    /// <summary>Number of inputs.</summary>
    public int Columns { get; }

    /// <summary>Distance between two rows in bytes.</summary>
    public nint RowBytes { get; }

    /// <summary>First scale: fp32 per block for <see cref="WeightFormat.F8E4M3"/>, one e8m0 byte per 32 columns for
    /// <see cref="WeightFormat.MxFp4"/>, fp16 per row for <see cref="WeightFormat.Codebook"/>, two bf16 levels
    /// per row for <see cref="WeightFormat.TernaryTiles"/>, fp16 per row and group for
    /// <see cref="WeightFormat.GroupedInt"/>, otherwise null.</summary>
    public byte* Scales { get; }

    /// <summary>Distance between two rows of scales in bytes.</summary>
    public nint ScaleRowBytes { get; }

    /// <summary>Row of the whole stored tensor that row 0 of this view is: fp8 scale blocks count from there.</summary>
    public int FirstRow { get; }

    /// <summary>Rows that share one fp8 scale.</summary>
    public int BlockRows { get; }

    /// <summary>Columns that share one scale.</summary>
    public int BlockColumns { get; }

    /// <summary>What the codes stand for; null for other formats than <see cref="WeightFormat.Codebook"/>.</summary>
    internal CodebookVectors* Vectors { get; }

    /// <summary>Bits of an integer; 0 for other formats than <see cref="WeightFormat.GroupedInt"/>.</summary>
    internal int CodeBits { get; }

    /// <summary>Sizes and order of the codes.</summary>
    internal CodebookShape CodebookShape => new(Rows, Columns, Vectors->Dimension, Vectors->Stages);

    /// <summary>Describes an fp8 matrix with one fp32 scale per <paramref name="blockRows"/> ×
    /// <paramref name="blockColumns"/>
    /// block, blocks at the edges ragged: <c>w[r, c] = fp8[r, c] * scales[r / blockRows, c /
    /// blockColumns]</c>.</summary>
    public static WeightMatrix F8(
        void* data, int rows, int columns, float* scales, int blockRows, int blockColumns) =>
        new(WeightFormat.F8E4M3, data, rows, columns, columns, scales,
            (nint)sizeof(float) * ((columns + blockColumns - 1) / blockColumns), 0, blockRows, blockColumns);

    /// <summary>Describes an MXFP4 matrix: 16 bytes per 32 columns and one scale byte each.</summary>
    /// <param name="data">Blocks, [rows × columns / 32 × 16].</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs, a multiple of 32.</param>
    /// <param name="scales">e8m0 scales, [rows × columns / 32].</param>
    public static WeightMatrix Mx4(void* data, int rows, int columns, byte* scales) =>
        new(WeightFormat.MxFp4, data, rows, columns, columns / 2, scales, columns / 32, 0, 1, 32);

    /// <summary>Describes a codebook matrix.</summary>
    /// <param name="codes">Codes in the order of <see cref="MoeKernels.CodebookShape"/>.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs.</param>
    /// <param name="scales">Half-precision scales, one per row with padding.</param>
    /// <param name="vectors">What the codes stand for.</param>
    internal static WeightMatrix Codebook(
        void* codes, int rows, int columns, ushort* scales, CodebookVectors* vectors) =>
        new(WeightFormat.Codebook, codes, rows, columns, 0, scales, 0, 0, 1, 1, vectors);

    /// <summary>Describes a matrix of ternary tiles.</summary>
    /// <param name="tiles">The table of tiles and the tiles, as <see cref="TernaryTileShape"/> has them.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs.</param>
    /// <param name="levels">First and second level as bf16 bits, one pair per row with padding.</param>
    internal static WeightMatrix TernaryTiles(void* tiles, int rows, int columns, ushort* levels) =>
        new(WeightFormat.TernaryTiles, tiles, rows, columns, 0, levels, 0, 0, 1, 1);

    /// <summary>Describes a matrix of small integers.</summary>
    /// <param name="rowData">Zero points and codes, [rows, <see cref="IntegerShape.RowBytes"/>].</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="scales">Half-precision scales, [rows, groups].</param>
    internal static WeightMatrix Integers(void* rowData, in IntegerShape shape, ushort* scales) =>
        new(WeightFormat.GroupedInt, rowData, shape.Rows, shape.Columns, shape.RowBytes, scales,
            sizeof(ushort) * shape.Groups, 0, 1, IntegerShape.GroupColumns, null, shape.Bits);

    /// <summary>First byte of a row; of the whole matrix where rows are interleaved
    /// (<see cref="WeightFormat.Codebook"/>, <see cref="WeightFormat.TernaryTiles"/>).</summary>
    public byte* Row(int row) => Data + (row * RowBytes);

    /// <summary>The view of <paramref name="rows"/> consecutive rows from <paramref name="first"/>.</summary>
    public WeightMatrix Slice(int first, int rows) => View(first, rows, 1);

    /// <summary>The view of every second row from <paramref name="first"/> (0 or 1): one half of interleaved gate/up
    /// rows.</summary>
    /// <exception cref="MoeUnsupportedException">The format has scales shared by several rows.</exception>
    public WeightMatrix EverySecondRow(int first) =>
        Format == WeightFormat.F8E4M3
            ? throw new MoeUnsupportedException("interleaved rows in a block-scaled fp8 tensor")
            : View(first, (Rows - first + 1) / 2, 2);

    private WeightMatrix View(int first, int rows, int step)
    {
        if (Format is WeightFormat.Codebook or WeightFormat.TernaryTiles)
            throw new MoeUnsupportedException($"some rows of a matrix stored as {Format}");
        Debug.Assert(first >= 0 && rows >= 0 && first + ((rows - 1) * step) < Rows);
        bool scaledRows = Format is WeightFormat.MxFp4 or WeightFormat.GroupedInt;
        return new(Format, Row(first), rows, Columns, RowBytes * step,
            scaledRows ? Scales + (first * ScaleRowBytes) : Scales,
            scaledRows ? ScaleRowBytes * step : ScaleRowBytes,
            FirstRow + first, BlockRows, BlockColumns, null, CodeBits);
    }
}
