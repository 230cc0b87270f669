namespace MoeKernels;

/// <summary>The vectors that the codes of a matrix stand for, as kernels read them; the memory is somebody
/// else's.</summary>
internal unsafe struct CodebookVectors
{
    /// <summary>Numbers of a vector.</summary>
    public int Dimension;

    /// <summary>Number of codebooks whose vectors add up.</summary>
    public int Stages;

    /// <summary>Numbers in pairs, the last one filled up with zero, [stages × pairs × 128 × 2].</summary>
    public sbyte* Pairs;

    /// <summary>-128 times the sum of each vector modulo 2^16, [stages × 128].</summary>
    public short* Bias;

    /// <summary>Factors of the inputs, [columns], or null for ones.</summary>
    public float* InputScales;

    /// <summary>Pairs of numbers of a vector.</summary>
    public readonly int PairCount => (Dimension + 1) / 2;

    /// <summary>One number of a vector.</summary>
    public readonly int Number(int stage, int index, int k) =>
        Pairs[((((((nint)stage * PairCount) + (k / 2)) * CodebookShape.Vectors) + index) * 2) + (k % 2)];

    /// <summary>Factor of an input.</summary>
    public readonly float InputScale(int column) => InputScales == null ? 1 : InputScales[column];
}
