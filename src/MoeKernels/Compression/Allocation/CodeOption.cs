namespace MoeKernels.Compression;

/// <summary>A way to code matrices.</summary>
/// <param name="Dimension">Weights per code.</param>
/// <param name="Stages">Codes that add up.</param>
internal readonly record struct CodeOption(int Dimension, int Stages)
{
    /// <summary>What the allocation chooses from, fewest bits first.</summary>
    public static IReadOnlyList<CodeOption> All { get; } =
    [
        new(16, 1), new(14, 1), new(12, 1), new(10, 1), new(9, 1), new(8, 1), new(7, 1), new(6, 1), new(5, 1),
        new(8, 2), new(7, 2), new(6, 2), new(8, 3), new(5, 2), new(7, 3), new(6, 3),
    ];

    /// <summary>The option with most bits that are no more than some.</summary>
    public static CodeOption Nearest(double bits) =>
        All.LastOrDefault(option => option.CodeBits <= bits, All[0]);

    /// <summary>Bits per weight of the codes alone.</summary>
    public double CodeBits => 8.0 * Stages / Dimension;

    /// <inheritdoc/>
    public override string ToString() => Stages == 1 ? $"{Dimension}" : $"{Dimension}x{Stages}";
}
