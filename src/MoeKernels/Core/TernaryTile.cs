using System.Runtime.CompilerServices;

namespace MoeKernels;

/// <summary>Told the members of a tile, the weights that are not zero.</summary>
internal unsafe interface ITernaryMembers
{
    /// <summary>One or two members of a row with the same level.</summary>
    /// <param name="high">1 where they have the row's second level, 0 where they have the first.</param>
    /// <param name="row">Row in the band.</param>
    /// <param name="columns">Columns in the tile; the second byte may be read even where it is not a member.</param>
    /// <param name="count">1 or 2.</param>
    void Add(int high, int row, byte* columns, int count);
}

/// <summary>
/// One tile of 64 rows and 128 columns: how many members of either level each row has, then their columns, those of
/// the second level first.
/// </summary>
/// <remarks>
/// Bytes: the smallest counts l₁ and l₀; 64 bytes <c>(n₁ - l₁) | (n₀ - l₀) &lt;&lt; 4</c>; the columns. Where a count
/// is more than 15 above the smallest, the first byte is 255 and 64 counts n₁ and 64 counts n₀ follow. Columns of a
/// level come in steps: step t holds members 2t and 2t + 1 of rows 0 to 31, then those of rows 32 to 63, as far as
/// there are any. Two members of a row are thus neighbours, which multiply-add instructions on pairs of bytes add up.
/// </remarks>
internal unsafe struct TernaryTile
{
    /// <summary>First byte of a tile with counts in whole bytes.</summary>
    public const byte Wide = 255;

    /// <summary>The largest difference of counts in half a byte.</summary>
    public const int NibbleRange = 15;

    /// <summary>Bytes before the counts.</summary>
    public const int HeaderBytes = 2;

    /// <summary>Rows of a step's half.</summary>
    public const int HalfRows = TernaryTileShape.BandRows / 2;

    private const int Rows = TernaryTileShape.BandRows;

    /// <summary>Members of each row, [level][row]: first level first.</summary>
    public fixed byte Counts[2 * Rows];

    /// <summary>Columns of the members.</summary>
    public byte* Codes;

    /// <summary>Reads the counts.</summary>
    public TernaryTile(byte* tile)
    {
        bool wide = tile[0] == Wide;
        byte* counts = tile + HeaderBytes;
        for (int row = 0; row < Rows; row++)
        {
            Counts[Rows + row] = wide ? counts[row] : (byte)(tile[0] + (counts[row] & 15));
            Counts[row] = wide ? counts[Rows + row] : (byte)(tile[1] + (counts[row] >> 4));
        }

        Codes = counts + (wide ? 2 * Rows : Rows);
    }

    /// <summary>Visits all members in the order they are stored.</summary>
    /// <returns>The end of the tile.</returns>
    public byte* Visit<T>(ref T members)
        where T : struct, ITernaryMembers, allows ref struct
    {
        byte* codes = Codes;
        byte* active = stackalloc byte[Rows];
        for (int high = 1; high >= 0; high--)
        {
            fixed (byte* counts = &Counts[high * Rows])
            {
                int first = Start(counts, 0, active);
                int second = Start(counts, HalfRows, active + HalfRows);
                for (int taken = 0; first + second > 0; taken += 2)
                {
                    first = Step(ref members, high, counts, taken, active, first, ref codes);
                    second = Step(ref members, high, counts, taken, active + HalfRows, second, ref codes);
                }
            }
        }

        return codes;
    }

    private static int Start(byte* counts, int row, byte* active)
    {
        int rows = 0;
        for (int end = row + HalfRows; row < end; row++)
        {
            active[rows] = (byte)row;
            rows += counts[row] > 0 ? 1 : 0;
        }

        return rows;
    }

    /// <summary>The next two members of the active rows; returns how many rows have more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Step<T>(
        ref T members, int high, byte* counts, int taken, byte* active, int rows, ref byte* codes)
        where T : struct, ITernaryMembers, allows ref struct
    {
        int more = 0;
        byte* next = codes;
        for (int i = 0; i < rows; i++)
        {
            byte row = active[i];
            int left = counts[row] - taken;

            // No branches: half of all members would take the other one.
            int count = 1 + (left > 1 ? 1 : 0);
            members.Add(high, row, next, count);
            next += count;
            active[more] = row;
            more += left > 2 ? 1 : 0;
        }

        codes = next;
        return more;
    }
}
