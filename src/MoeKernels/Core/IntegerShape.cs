namespace MoeKernels;

/// <summary>Sizes and order of a matrix of small integers, by groups of 64 neighbouring columns
/// (<c>Packed/Integer/FORMAT.md</c>).</summary>
/// <remarks>A row is one zero point per group, then its codes as one stream of bits. Whatever bytes there are, they
/// give finite weights and no access outside the row.</remarks>
internal readonly record struct IntegerShape
{
    /// <summary>Columns that share scale and zero point.</summary>
    public const int GroupColumns = 64;

    /// <summary>Most bits of a code.</summary>
    public const int MaxBits = 8;

    /// <summary>Most rows and most columns.</summary>
    public const int MaxExtent = 1 << 24;

    /// <summary>Checks the sizes.</summary>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of range.</exception>
    public IntegerShape(int rows, int columns, int bits)
    {
        Check(rows, MaxExtent, nameof(rows));
        Check(columns, MaxExtent, nameof(columns));
        Check(bits, MaxBits, nameof(bits));
        (Rows, Columns, Bits) = (rows, columns, bits);
    }

    /// <summary>Outputs.</summary>
    public int Rows { get; }

    /// <summary>Inputs.</summary>
    public int Columns { get; }

    /// <summary>Bits of a code.</summary>
    public int Bits { get; }

    /// <summary>Groups of a row.</summary>
    public int Groups => (Columns + GroupColumns - 1) / GroupColumns;

    /// <summary>Bytes of a row: zero points and codes.</summary>
    public int RowBytes => Groups + (int)((((long)Columns * Bits) + 7) / 8);

    /// <summary>Bytes of a matrix with its fp16 scales.</summary>
    public long ByteLength => Rows * (RowBytes + (sizeof(ushort) * (long)Groups));

    private static void Check(int value, int most, string name)
    {
        if (value < 1 || value > most)
            throw new ArgumentOutOfRangeException(name, value, $"Must be from 1 to {most}.");
    }
}
