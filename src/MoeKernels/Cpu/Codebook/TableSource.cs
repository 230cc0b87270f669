namespace MoeKernels.Cpu;

/// <summary>A codebook as table building reads it.</summary>
/// <param name="vectors">The codebook.</param>
internal readonly unsafe struct TableSource(CodebookVectors* vectors)
{
    private readonly sbyte* _pairs = vectors->Pairs;
    private readonly short* _bias = vectors->Bias;

    /// <summary>Numbers of a vector.</summary>
    public readonly int Dimension = vectors->Dimension;

    /// <summary>Number of codebooks.</summary>
    public readonly int Stages = vectors->Stages;

    /// <summary>Factors of the inputs, [columns], or null for ones.</summary>
    public readonly float* InputScales = vectors->InputScales;

    /// <summary>Pairs of numbers of a vector.</summary>
    public int PairCount => (Dimension + 1) / 2;

    /// <summary>The pairs of a stage.</summary>
    public sbyte* Pairs(int stage) => _pairs + (stage * PairCount * 2 * CodebookShape.Vectors);

    /// <summary>The biases of a stage.</summary>
    public short* Bias(int stage) => _bias + (stage * CodebookShape.Vectors);
}
