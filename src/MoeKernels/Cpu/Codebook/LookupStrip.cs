namespace MoeKernels.Cpu;

/// <summary>The codes of one strip in one chunk and the tables of some tokens: what a lookup body adds up.</summary>
internal unsafe struct LookupStrip
{
    /// <summary>First line of codes.</summary>
    public byte* Codes;

    /// <summary>Blocks of the strip, 1 to 4.</summary>
    public int Blocks;

    /// <summary>Entries of the chunk.</summary>
    public int Entries;

    /// <summary>Number of tokens.</summary>
    public int Tokens;

    /// <summary>Which tables are the tokens', [tokens]; null when they follow each other.</summary>
    public int* Rows;

    /// <summary>Tables of row 0, aligned to 64 bytes.</summary>
    public byte* Tables;

    /// <summary>Distance between two rows' tables.</summary>
    public nint TableStride;

    /// <summary>Half step of row 0's tables; those of the other rows follow.</summary>
    public float* Steps;

    /// <summary>Sums to add to, [tokens × rows of the strip].</summary>
    public float* Sums;

    /// <summary>Distance between two tokens' sums in elements.</summary>
    public nint SumStride;

    /// <summary>First table of a token.</summary>
    public readonly byte* Table(int token) => Tables + (Row(token) * TableStride);

    /// <summary>Half step of a token's tables.</summary>
    public readonly float Step(int token) => Steps[Row(token)];

    private readonly nint Row(int token) => Rows == null ? token : Rows[token];
}
