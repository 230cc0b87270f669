using System.Globalization;

namespace MoeKernels.Planning;

/// <summary>Matrices of one shape stored under one name in codebook form: all experts of a layer and kind, or a single
/// matrix.</summary>
/// <param name="Name">Name in the file, for example <c>model.layers.0.mlp.experts.gate_proj.weight</c>.</param>
/// <param name="Role">What they are for.</param>
/// <param name="Matrices">Number of matrices.</param>
/// <param name="Rows">Outputs of each.</param>
/// <param name="Columns">Inputs of each.</param>
/// <param name="Dimension">Weights per code.</param>
/// <param name="Stages">Codes per group of weights.</param>
/// <param name="Codebooks">Codebooks: one for all, or one a matrix.</param>
/// <param name="Bytes">Size in the file: codes, scales, codebooks and header.</param>
public sealed record CodedStack(
    string Name, WeightRole Role, int Matrices, int Rows, int Columns, int Dimension, int Stages, int Codebooks,
    long Bytes)
{
    /// <summary>Weights of all matrices.</summary>
    public long Weights => (long)Matrices * Rows * Columns;

    /// <summary>Bits per weight, all metadata counted.</summary>
    public double Bits => 8.0 * Bytes / Weights;

    /// <summary><c>D8</c> or <c>D8x2</c>.</summary>
    public string Label => Stages == 1
        ? FormattableString.Invariant($"D{Dimension}")
        : FormattableString.Invariant($"D{Dimension}x{Stages}");

    /// <summary>Number of the block, the first number in the name; -1 outside all blocks.</summary>
    public int Layer =>
        Array.Find(Segments, IsNumber) is { } number ? int.Parse(number, CultureInfo.InvariantCulture) : -1;

    /// <summary>What kind of matrix it is: the name without block and <c>weight</c>, for example
    /// <c>mlp.experts.gate_proj</c>.</summary>
    public string Kind
    {
        get
        {
            string[] segments = Segments;
            int block = Array.FindIndex(segments, IsNumber);
            var kind = segments.Skip(block + 1).Where(segment => segment is not ("weight" or "model"));

            // Encoder and decoder have blocks of the same number.
            var side = segments.Take(Math.Max(block, 0)).Where(segment => segment is "encoder" or "decoder");
            return string.Join('.', side.Concat(kind));
        }
    }

    private string[] Segments => Name.Split('.');

    private static bool IsNumber(string segment) => segment.Length is > 0 and < 9 && segment.All(char.IsAsciiDigit);
}
