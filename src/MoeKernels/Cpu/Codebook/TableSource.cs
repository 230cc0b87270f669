using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>A codebook as table building reads it.</summary>
/// <param name="pairs">Numbers, [stages × pairs × 128 × 2].</param>
/// <param name="bias">-128 times the sum of each vector modulo 2^16, [stages × 128].</param>
/// <param name="dimension">Numbers of a vector.</param>
/// <param name="stages">Number of codebooks.</param>
internal readonly unsafe struct TableSource(sbyte* pairs, short* bias, int dimension, int stages)
{
    /// <summary>Numbers of a vector.</summary>
    public readonly int Dimension = dimension;

    /// <summary>Number of codebooks.</summary>
    public readonly int Stages = stages;

    /// <summary>Pairs of numbers of a vector.</summary>
    public int PairCount => (Dimension + 1) / 2;

    /// <summary>The pairs of a stage.</summary>
    public sbyte* Pairs(int stage) => pairs + (stage * PairCount * 2 * CodebookShape.Vectors);

    /// <summary>The biases of a stage.</summary>
    public short* Bias(int stage) => bias + (stage * CodebookShape.Vectors);
}
