using System.Globalization;

namespace MoeKernels.Planning;

/// <summary>Coded matrices of one shape: all experts of a layer and kind, or a single matrix. Codebook and integer
/// matrices are stored under one name; each of QMoE's has its own.</summary>
/// <param name="Name">Name in the file, for example <c>model.layers.0.mlp.experts.gate_proj.weight</c>.</param>
/// <param name="Role">What they are for.</param>
/// <param name="Matrices">Number of matrices.</param>
/// <param name="Rows">Outputs of each.</param>
/// <param name="Columns">Inputs of each.</param>
/// <param name="Dimension">Weights per code; 0 without codebooks.</param>
/// <param name="Stages">Codes per group of weights; 0 without codebooks.</param>
/// <param name="Codebooks">Codebooks: one for all, or one a matrix; 0 for other encodings.</param>
/// <param name="Bytes">Size in the file, all metadata counted.</param>
public sealed record CodedStack(
    string Name, WeightRole Role, int Matrices, int Rows, int Columns, int Dimension, int Stages, int Codebooks,
    long Bytes)
{
    /// <summary>Encoding of codebook matrices and of QMoE's.</summary>
    internal const string Codebook = "codebook", Ternary = "ternary";

    /// <summary><c>codebook</c>, <c>ternary</c> (QMoE's codewords), or <c>int3</c> and the like.</summary>
    public string Encoding { get; init; } = Codebook;

    /// <summary>Weights of all matrices.</summary>
    public long Weights => (long)Matrices * Rows * Columns;

    /// <summary>Bits per weight, all metadata counted.</summary>
    public double Bits => 8.0 * Bytes / Weights;

    /// <summary><c>D8</c> or <c>D8x2</c>, otherwise the encoding.</summary>
    public string Label => (Encoding, Stages) switch
    {
        (Codebook, 1) => FormattableString.Invariant($"D{Dimension}"),
        (Codebook, _) => FormattableString.Invariant($"D{Dimension}x{Stages}"),
        _ => Encoding,
    };

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
