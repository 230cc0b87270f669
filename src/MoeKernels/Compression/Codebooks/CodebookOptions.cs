namespace MoeKernels.Compression;

/// <summary>How a codebook is trained and matrices are coded with it.</summary>
/// <param name="Dimension">Weights per code, 1 to 16.</param>
/// <param name="Stages">Codes that add up to the same weights, 1 to 4.</param>
internal sealed record CodebookOptions(int Dimension, int Stages)
{
    /// <summary>Added to the diagonal of H before it is factored, relative to its mean.</summary>
    public float Damping { get; init; } = 0.1f;

    /// <summary>Times the vectors are estimated again from the weights that chose them.</summary>
    public int Rounds { get; init; } = 2;

    /// <summary>Weights that training looks at in each round.</summary>
    public int SampleWeights { get; init; } = 3 << 19;

    /// <summary>Vectors for the first clustering.</summary>
    public int InitialVectors { get; init; } = 1 << 15;

    /// <summary>Exponent of the inputs' mean squares in the input scales; 0 leaves inputs alone.</summary>
    public float InputExponent { get; init; } = 0.125f;

    /// <summary>Alternatives kept per row while the codebook is trained.</summary>
    public int TrainingBeams { get; init; } = 1;

    /// <summary>Seed of everything random.</summary>
    public ulong Seed { get; init; } = 1;
}
