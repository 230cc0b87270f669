using MoeKernels.Models.Description;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>All matrices of a layer and kind: what the allocation gives one way of coding.</summary>
/// <param name="Stack">Name under which they are stored.</param>
/// <param name="Layer">Block of the stack, encoder first.</param>
/// <param name="Kind"><see cref="Gate"/>, <see cref="Up"/> or <see cref="Down"/>.</param>
/// <param name="Count">Matrices.</param>
/// <param name="Rows">Rows of each.</param>
/// <param name="Columns">Columns of each.</param>
internal sealed record Cell(string Stack, int Layer, string Kind, int Count, int Rows, int Columns)
{
    /// <summary>Kinds of matrices.</summary>
    public const string Gate = "gate", Up = "up", Down = "down";

    /// <summary>Weights of all matrices.</summary>
    public long Weights => (long)Count * Rows * Columns;

    /// <summary>The kind as a layer's files name it.</summary>
    public string Name(ExpertsSpec experts) => Kind switch
    {
        Gate => experts.Gate!,
        Up => experts.Up,
        _ => experts.Down,
    };

    /// <summary>Bytes on disk and in memory, all metadata counted.</summary>
    public long Bytes(CodeOption option) => CodebookStack.ByteCount(
        new CodebookShape(Rows, Columns, option.Dimension, option.Stages), Count, 1, inputScales: true);

    /// <summary>Bits per weight, all metadata counted.</summary>
    public double Bits(CodeOption option) => 8.0 * Bytes(option) / Weights;
}

/// <summary>What coding a cell costs the model, by option.</summary>
/// <param name="Cell">The cell.</param>
/// <param name="Losses">Divergence from the dense model when this cell alone is coded, one per
/// <see cref="CodeOption.All"/>.</param>
internal sealed record CellCurve(Cell Cell, double[] Losses);
