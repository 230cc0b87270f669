namespace MoeKernels;

/// <summary>Single weights of ternary tiles: exact and slow, because a row is spread over its tile.</summary>
internal static unsafe class TernaryTileRow
{
    /// <summary>Writes columns <c>[column, column + count)</c> of a row.</summary>
    public static void Unpack(in WeightMatrix w, int row, int column, int count, float* destination)
    {
        var shape = new TernaryTileShape(w.Rows, w.Columns);
        (int band, int bandRow) = Math.DivRem(row, TernaryTileShape.BandRows);
        new Span<float>(destination, count).Clear();
        for (int done = 0; done < count;)
        {
            (int tile, int first) = Math.DivRem(column + done, TernaryTileShape.TileColumns);
            var members = new RowWriter
            {
                Row = bandRow,
                First = first,
                Count = Math.Min(TernaryTileShape.TileColumns - first, count - done),
                Levels = (ushort*)w.Scales + (2 * row),
                Destination = destination + done,
            };
            new TernaryTile(shape.Tile(w.Data, band, tile)).Visit(ref members);
            done += members.Count;
        }
    }

    private struct RowWriter : ITernaryMembers
    {
        public int Row, First, Count;
        public ushort* Levels;
        public float* Destination;

        public readonly void Add(int high, int row, byte* columns, int count)
        {
            for (int i = 0; row == Row && i < count; i++)
            {
                int place = columns[i] - First;
                if ((uint)place < (uint)Count)
                    Destination[place] = BitConverter.UInt32BitsToSingle((uint)Levels[high] << 16);
            }
        }
    }
}
