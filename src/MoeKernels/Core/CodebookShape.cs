namespace MoeKernels;

/// <summary>Sizes of a codebook matrix and the place of every code byte. The order is that of the lookup kernels: a
/// whole matrix is one linear stream.</summary>
/// <remarks>
/// <c>Dimension</c> neighbouring columns of a row are a group, and a group takes one code byte per stage: its entries.
/// Entries are counted along the columns, stages fastest. 64 rows are a block, four blocks a strip, up to 64 entries a
/// chunk. Order of the bytes: chunk, strip, pair of entries, block, entry of the pair, row.
/// </remarks>
internal readonly record struct CodebookShape
{
    /// <summary>Rows of a block: one line of codes for 512-bit registers.</summary>
    public const int BlockRows = 64;

    /// <summary>Blocks side by side, which share every load of a table.</summary>
    public const int StripBlocks = 4;

    /// <summary>Most entries of a chunk: sums of its table bytes fit in 16 bits.</summary>
    public const int MaxChunkEntries = 64;

    /// <summary>Vectors of a codebook; the eighth bit of a code is the sign.</summary>
    public const int Vectors = 128;

    /// <summary>Largest number of weights per code: half a bit a weight with one stage.</summary>
    public const int MaxDimension = 16;

    /// <summary>Largest number of codes that add up to the same weights.</summary>
    public const int MaxStages = 4;

    /// <summary>Largest extent, so that offsets in entries stay below 2^31.</summary>
    public const int MaxExtent = 1 << 24;

    /// <summary>Describes a matrix.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive or beyond its limit.</exception>
    public CodebookShape(int rows, int columns, int dimension, int stages)
    {
        CheckRange(rows, MaxExtent, nameof(rows));
        CheckRange(columns, MaxExtent, nameof(columns));
        CheckRange(dimension, MaxDimension, nameof(dimension));
        CheckRange(stages, MaxStages, nameof(stages));
        (Rows, Columns, Dimension, Stages) = (rows, columns, dimension, stages);
    }

    /// <summary>Outputs.</summary>
    public int Rows { get; }

    /// <summary>Inputs; the last group may reach beyond them, where inputs count as zero.</summary>
    public int Columns { get; }

    /// <summary>Weights per code.</summary>
    public int Dimension { get; }

    /// <summary>Codes per group, each of its own codebook.</summary>
    public int Stages { get; }

    /// <summary>Groups of a row.</summary>
    public int Groups => (Columns + Dimension - 1) / Dimension;

    /// <summary>Code bytes of a row.</summary>
    public int Entries => Groups * Stages;

    /// <summary>Groups of a chunk but the last: an even number, so that only the last chunk can end in half a
    /// pair.</summary>
    public int ChunkGroups => (MaxChunkEntries / Stages) & ~1;

    /// <summary>Chunks of a row.</summary>
    public int Chunks => (Groups + ChunkGroups - 1) / ChunkGroups;

    /// <summary>Blocks of 64 rows; the last may be padded.</summary>
    public int Blocks => (Rows + BlockRows - 1) / BlockRows;

    /// <summary>Strips of four blocks; the last may be narrower.</summary>
    public int Strips => (Blocks + StripBlocks - 1) / StripBlocks;

    /// <summary>Rows with padding.</summary>
    public int PaddedRows => Blocks * BlockRows;

    /// <summary>Bytes of all codes, a multiple of 64.</summary>
    public long CodeBytes => (long)Entries * PaddedRows;

    /// <summary>Bits per weight of codes and row scales together, padding counted; the codebook is shared and not
    /// counted.</summary>
    public double BitsPerWeight => 8.0 * (CodeBytes + (2.0 * PaddedRows)) / ((double)Rows * Columns);

    /// <summary>Groups of a chunk.</summary>
    public int GroupsOf(int chunk) => Math.Min(ChunkGroups, Groups - (chunk * ChunkGroups));

    /// <summary>Entries of a chunk.</summary>
    public int EntriesOf(int chunk) => GroupsOf(chunk) * Stages;

    /// <summary>Blocks of a strip.</summary>
    public int BlocksOf(int strip) => Math.Min(StripBlocks, Blocks - (strip * StripBlocks));

    /// <summary>First byte of a strip's codes in a chunk.</summary>
    public long StripOffset(int chunk, int strip) =>
        BlockRows * (((long)chunk * ChunkGroups * Stages * Blocks) + ((long)strip * StripBlocks * EntriesOf(chunk)));

    /// <summary>The byte that holds an entry, counted over the whole row, of one row.</summary>
    public long ByteOf(int row, int entry)
    {
        int chunk = entry / (ChunkGroups * Stages);
        int e = entry - (chunk * ChunkGroups * Stages);
        int block = row / BlockRows;
        int strip = block / StripBlocks;
        int blocks = BlocksOf(strip);
        int i = block - (strip * StripBlocks);
        int line = (e | 1) < EntriesOf(chunk) ? ((e & ~1) * blocks) + (2 * i) + (e & 1) : (e * blocks) + i;
        return StripOffset(chunk, strip) + ((long)line * BlockRows) + PositionOf(row % BlockRows);
    }

    /// <summary>Place of a row in a line: rows 0-31 take the even bytes and rows 32-63 the odd ones, because kernels
    /// sum even and odd bytes apart.</summary>
    private static int PositionOf(int row) => (2 * (row % 32)) + (row / 32);

    private static void CheckRange(int value, int most, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, 1, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, most, name);
    }
}
