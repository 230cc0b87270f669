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

    /// <summary>Tables of the first token, aligned to 64 bytes.</summary>
    public byte* Tables;

    /// <summary>Distance between two tokens' tables.</summary>
    public nint TableStride;

    /// <summary>Half steps of the tokens' tables.</summary>
    public float* Steps;

    /// <summary>Sums to add to, [tokens × rows of the strip].</summary>
    public float* Sums;

    /// <summary>Distance between two tokens' sums in elements.</summary>
    public nint SumStride;
}
