namespace MoeKernels;

/// <summary>Sizes of a matrix of ternary tiles: 64 rows are a band, 128 columns of a band are a tile.</summary>
/// <remarks>Tiles follow each other band by band, so a band is one linear stream. Where a tile begins is in a table in
/// front of them: u32[bands * tiles + 1], filled up to a multiple of 64 bytes.</remarks>
internal readonly record struct TernaryTileShape(int Rows, int Columns)
{
    /// <summary>Rows of a band: one byte each in a 512-bit register.</summary>
    public const int BandRows = 64;

    /// <summary>Columns of a tile: the bytes that two 512-bit registers look up.</summary>
    public const int TileColumns = 128;

    /// <summary>Bytes that kernels may read behind the last tile.</summary>
    public const int Padding = 64;

    /// <summary>Bands; the last may be padded with rows of zeros.</summary>
    public int Bands => (Rows + BandRows - 1) / BandRows;

    /// <summary>Tiles of a band; the last may be padded with columns of zeros.</summary>
    public int Tiles => (Columns + TileColumns - 1) / TileColumns;

    /// <summary>Rows with padding.</summary>
    public int PaddedRows => Bands * BandRows;

    /// <summary>Columns with padding.</summary>
    public int PaddedColumns => Tiles * TileColumns;

    /// <summary>Bytes of the table of tiles.</summary>
    public long TableBytes => (((sizeof(uint) * (((long)Bands * Tiles) + 1)) + 63) & ~63L);

    /// <summary>The first byte of a tile of a stored matrix.</summary>
    public unsafe byte* Tile(byte* matrix, int band, int tile) =>
        matrix + TableBytes + ((uint*)matrix)[((long)band * Tiles) + tile];
}
