using System.Globalization;
using MoeKernels.Formats;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Whether a model can be compressed as it is asked for.</summary>
internal static class SourceChecks
{
    /// <summary>Throws where it cannot.</summary>
    /// <param name="folder">The dense model.</param>
    /// <param name="cells">Its cells.</param>
    /// <param name="options">What is asked for.</param>
    /// <exception cref="MoeUnsupportedException">The model has no experts, or is compressed already.</exception>
    /// <exception cref="MoeBudgetException">The bits are below the floor of the model's shapes.</exception>
    public static void Check(ModelFolder folder, IReadOnlyList<Cell> cells, CompressOptions options)
    {
        if (cells.Count == 0)
            throw new MoeUnsupportedException("compressing a model without experts", folder.Path);
        if (folder.Checkpoint.Names.Any(IsCodedTensor))
            throw new MoeUnsupportedException("compressing a model that is compressed already", folder.Path);
        double floor = FloorBits(cells);
        if (options.Method.HasBudget && options.MaxKl is null && !(options.Bits >= floor))
        {
            throw new MoeBudgetException(string.Create(
                CultureInfo.InvariantCulture,
                $"{options.Bits} bits per expert weight cannot be had: the floor of this model's shapes is "
                    + $"{Math.Ceiling(floor * 1000) / 1000}"));
        }
    }

    /// <summary>Fewest bits per expert weight that the model's shapes allow.</summary>
    public static double FloorBits(IReadOnlyList<Cell> cells) =>
        8.0 * Knapsack.Floor(cells) / cells.Sum(cell => cell.Weights);

    private static bool IsCodedTensor(string name) =>
        new[] { ".codebook", IntegerTensors.RowsSuffix, QmoeTensors.Codes }
        .Any(suffix => name.EndsWith(suffix, StringComparison.Ordinal));
}
