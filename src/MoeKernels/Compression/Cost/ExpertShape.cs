using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>Sizes of one expert.</summary>
/// <param name="Hidden">Inputs and outputs, H.</param>
/// <param name="Intermediate">Width between its matrices, I.</param>
/// <param name="Gated">Whether it has a gate.</param>
internal readonly record struct ExpertShape(int Hidden, int Intermediate, bool Gated)
{
    /// <summary>Matrices that read the expert's inputs.</summary>
    public int InputMatrices => Gated ? 2 : 1;

    /// <summary>Weights of a matrix.</summary>
    public long MatrixWeights => (long)Hidden * Intermediate;

    /// <summary>Floats of the moments and targets of gate and up.</summary>
    public long InputFloats => ((long)Hidden * Hidden) + (InputMatrices * MatrixWeights);

    /// <summary>Floats of the moments and target of down.</summary>
    public long DownFloats => ((long)Intermediate * Intermediate) + MatrixWeights;

    /// <summary>Sizes of a layer's experts.</summary>
    public static ExpertShape Of(MoeSpec moe) =>
        new(moe.Experts.Hidden, moe.Experts.Intermediate, moe.Activation.Gated);

    /// <summary>The same, no wider than a bound.</summary>
    public ExpertShape AtMost(int width) =>
        this with { Hidden = Math.Min(Hidden, width), Intermediate = Math.Min(Intermediate, width) };
}
