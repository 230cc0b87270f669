namespace MoeKernels.Packed;

/// <summary>A ternary matrix as the CPU kernels read it: tiles (<see cref="TernaryTile"/>) and two bf16 levels per
/// row, in native memory.</summary>
/// <remarks>Immutable and thread-safe. Made at load from QMoE's codewords, whose weights it keeps exactly; about one
/// bit per weight at QMoE's usual 88 % zeros.</remarks>
internal sealed unsafe class TernaryTileMatrix : IDisposable
{
    private readonly NativeBuffer _memory;
    private readonly long _levels;

    private TernaryTileMatrix(TernaryTileShape shape, NativeBuffer memory, long levels)
    {
        Shape = shape;
        _memory = memory;
        _levels = levels;
    }

    /// <summary>Sizes.</summary>
    public TernaryTileShape Shape { get; }

    /// <summary>Bytes in memory, everything counted.</summary>
    public long ByteLength => _memory.ByteLength;

    /// <summary>The view that kernels take; it lives as long as this object.</summary>
    public WeightMatrix View => WeightMatrix.TernaryTiles(
        _memory.Pointer, Shape.Rows, Shape.Columns, (ushort*)(_memory.Pointer + _levels));

    /// <summary>Lays a matrix out in tiles. Members whose level is zero are zeros and left out.</summary>
    /// <exception cref="MoeUnsupportedException">The tiles take 4 GiB or more.</exception>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public static TernaryTileMatrix From(QmoeMatrix matrix)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        var shape = new TernaryTileShape(matrix.Rows, matrix.Columns);
        var writer = new TernaryTileWriter(shape.Bands * (long)shape.Tiles);
        var symbols = new byte[TernaryTileShape.BandRows * shape.PaddedColumns];
        for (int band = 0; band < shape.Bands; band++)
        {
            Array.Clear(symbols);
            ReadBand(matrix, shape, band, symbols);
            for (int tile = 0; tile < shape.Tiles; tile++)
                writer.Add(symbols.AsSpan(tile * TernaryTileShape.TileColumns), shape.PaddedColumns);
        }

        return Create(shape, writer, matrix.Levels);
    }

    /// <summary>The matrix in QMoE's codewords, named by sign: the same weights.</summary>
    public QmoeMatrix ToQmoe()
    {
        (int rows, int columns) = (Shape.Rows, Shape.Columns);
        var weights = new ushort[checked(rows * columns)];
        for (int band = 0; band < Shape.Bands; band++)
        {
            for (int tile = 0; tile < Shape.Tiles; tile++)
            {
                var members = new WeightWriter
                {
                    Weights = weights,
                    Levels = (ushort*)(_memory.Pointer + _levels),
                    Columns = columns,
                    FirstRow = band * TernaryTileShape.BandRows,
                    FirstColumn = tile * TernaryTileShape.TileColumns,
                };
                new TernaryTile(Shape.Tile(_memory.Pointer, band, tile)).Visit(ref members);
            }
        }

        return QmoeEncoder.Encode(weights, rows, columns);
    }

    /// <summary>Copies the matrix to other memory.</summary>
    /// <param name="target"><see cref="ByteLength"/> bytes, aligned to 64.</param>
    /// <returns>The view of the copy.</returns>
    public WeightMatrix CopyTo(byte* target)
    {
        Buffer.MemoryCopy(_memory.Pointer, target, ByteLength, ByteLength);
        return WeightMatrix.TernaryTiles(target, Shape.Rows, Shape.Columns, (ushort*)(target + _levels));
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _memory.Dispose();

    private static void ReadBand(QmoeMatrix matrix, TernaryTileShape shape, int band, byte[] symbols)
    {
        int first = band * TernaryTileShape.BandRows;
        for (int row = first; row < Math.Min(first + TernaryTileShape.BandRows, shape.Rows); row++)
        {
            Span<byte> target = symbols.AsSpan((row - first) * shape.PaddedColumns, shape.Columns);
            matrix.DecodeSymbols(row, target);
            for (byte symbol = 1; symbol <= 2; symbol++)
            {
                if ((matrix.Levels[(2 * row) + symbol - 1] & 0x7FFF) == 0)
                    target.Replace(symbol, (byte)0);
            }
        }
    }

    private static TernaryTileMatrix Create(
        TernaryTileShape shape, TernaryTileWriter writer, ReadOnlySpan<ushort> levels)
    {
        long tiles = shape.TableBytes + writer.Bytes.Length + TernaryTileShape.Padding;
        long levelsAt = (tiles + 63) & ~63L;
        var memory = NativeBuffer.AllocateZeroed(
            levelsAt + (2 * sizeof(ushort) * (long)shape.PaddedRows), "ternary tiles");
        writer.Offsets.CopyTo(new Span<uint>(memory.Pointer, writer.Offsets.Length));
        writer.Bytes.CopyTo(new Span<byte>(memory.Pointer + shape.TableBytes, writer.Bytes.Length));
        levels.CopyTo(new Span<ushort>(memory.Pointer + levelsAt, levels.Length));
        return new TernaryTileMatrix(shape, memory, levelsAt);
    }

    /// <summary>Puts the members of a tile into a dense matrix.</summary>
    private ref struct WeightWriter : ITernaryMembers
    {
        public Span<ushort> Weights;
        public ushort* Levels;
        public int Columns, FirstRow, FirstColumn;

        public readonly void Add(int high, int row, byte* columns, int count)
        {
            int first = ((FirstRow + row) * Columns) + FirstColumn;
            for (int i = 0; i < count; i++)
                Weights[first + columns[i]] = Levels[(2 * (FirstRow + row)) + high];
        }
    }
}
