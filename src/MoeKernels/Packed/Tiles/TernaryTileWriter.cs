using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Packed;

/// <summary>Appends tiles in the layout of <see cref="TernaryTile"/>.</summary>
/// <param name="tiles">Tiles that will be added.</param>
internal sealed class TernaryTileWriter(long tiles)
{
    private const int Rows = TernaryTileShape.BandRows;
    private const int Columns = TernaryTileShape.TileColumns;

    private readonly List<byte> _bytes = [];
    private readonly uint[] _offsets = new uint[checked((int)(tiles + 1))];

    /// <summary>Columns of each row's members, [level][row][128].</summary>
    private readonly byte[] _columns = new byte[2 * Rows * Columns];

    /// <summary>Members of each row, [level][row].</summary>
    private readonly int[] _counts = new int[2 * Rows];

    private int _tiles;

    /// <summary>The tiles so far.</summary>
    public ReadOnlySpan<byte> Bytes => CollectionsMarshal.AsSpan(_bytes);

    /// <summary>First byte of every tile, and the end of the last.</summary>
    public ReadOnlySpan<uint> Offsets => _offsets;

    /// <summary>Appends a tile.</summary>
    /// <param name="symbols">[64, stride] 0, 1 or 2; the first 128 of each row are the tile.</param>
    /// <param name="stride">Distance between rows.</param>
    /// <exception cref="MoeUnsupportedException">The tiles take 2 GiB or more.</exception>
    public void Add(ReadOnlySpan<byte> symbols, int stride)
    {
        Array.Clear(_counts);
        for (int row = 0; row < Rows; row++)
        {
            for (int column = 0; column < Columns; column += Vector512<byte>.Count)
            {
                var values = Vector512.Create(symbols.Slice((row * stride) + column, Vector512<byte>.Count));
                for (int level = 0; level < 2; level++)
                    Keep(level, row, column, Vector512.Equals(values, Vector512.Create((byte)(level + 1))));
            }
        }

        if (_bytes.Count > int.MaxValue - (2 * Rows * Columns))
            throw new MoeUnsupportedException("a ternary matrix of 2 GiB or more");
        AddCounts();
        AddColumns(1);
        AddColumns(0);
        _offsets[++_tiles] = (uint)_bytes.Count;
    }

    private void Keep(int level, int row, int firstColumn, Vector512<byte> members)
    {
        int list = (level * Rows) + row;
        for (ulong bits = members.ExtractMostSignificantBits(); bits != 0; bits &= bits - 1)
        {
            int column = firstColumn + BitOperations.TrailingZeroCount(bits);
            _columns[(list * Columns) + _counts[list]++] = (byte)column;
        }
    }

    private void AddCounts()
    {
        Span<int> low = _counts.AsSpan(0, Rows), high = _counts.AsSpan(Rows, Rows);
        int least0 = Least(low, out bool narrow0), least1 = Least(high, out bool narrow1);
        bool narrow = narrow0 && narrow1;
        _bytes.Add(narrow ? (byte)least1 : TernaryTile.Wide);
        _bytes.Add((byte)least0);
        for (int row = 0; row < Rows; row++)
            _bytes.Add((byte)(narrow ? (high[row] - least1) | ((low[row] - least0) << 4) : high[row]));
        for (int row = 0; !narrow && row < Rows; row++)
            _bytes.Add((byte)low[row]);
    }

    private static int Least(ReadOnlySpan<int> counts, out bool narrow)
    {
        (int least, int most) = (counts[0], counts[0]);
        foreach (int count in counts)
            (least, most) = (Math.Min(least, count), Math.Max(most, count));
        narrow = most - least <= TernaryTile.NibbleRange;
        return least;
    }

    private void AddColumns(int level)
    {
        ReadOnlySpan<int> counts = _counts.AsSpan(level * Rows, Rows);
        bool more = true;
        for (int taken = 0; more; taken += 2)
        {
            more = false;
            for (int row = 0; row < Rows; row++)
            {
                int first = ((((level * Rows) + row) * Columns) + taken);
                int count = Math.Clamp(counts[row] - taken, 0, 2);
                _bytes.AddRange(_columns.AsSpan(first, count));
                more |= counts[row] > taken + 2;
            }
        }
    }
}
