using System.Globalization;
using MoeKernels.Packed;

namespace MoeKernels.Measuring;

/// <summary>How the weights of a benchmark are stored.</summary>
public enum WeightLayout
{
    /// <summary>4 bytes a weight.</summary>
    F32,

    /// <summary>IEEE half precision.</summary>
    F16,

    /// <summary>The upper half of a single.</summary>
    BF16,

    /// <summary>Signed vectors of a codebook.</summary>
    Codebook,

    /// <summary>QMoE's sparse ternary weights in their resident tiles.</summary>
    Qmoe,
}

/// <summary>A weight layout with its parameters, as the command line spells it.</summary>
/// <param name="Weights">How weights are stored.</param>
/// <param name="Dimension">Weights per code, 1 to 16; 0 for other layouts than codebooks.</param>
/// <param name="Stages">Codes per group of weights, 1 to 4; 0 for other layouts than codebooks.</param>
public sealed record KernelLayout(WeightLayout Weights, int Dimension = 0, int Stages = 0)
{
    private const string CodebookName = "codebook:";

    /// <summary>Layouts as <see cref="Parse"/> reads them.</summary>
    public static string Known => "f32, f16, bf16, codebook:D, codebook:DxS (D from 1 to 16, S from 1 to 4), qmoe";

    /// <summary>Reads <c>bf16</c>, <c>codebook:8</c>, <c>codebook:8x2</c> and so on.</summary>
    /// <param name="text">The name, in lower case.</param>
    /// <exception cref="ArgumentException">It names no layout.</exception>
    public static KernelLayout Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text switch
        {
            "f32" => new(WeightLayout.F32),
            "f16" => new(WeightLayout.F16),
            "bf16" => new(WeightLayout.BF16),
            "qmoe" => new(WeightLayout.Qmoe),
            _ when text.StartsWith(CodebookName, StringComparison.Ordinal) => ParseCodebook(text),
            _ => throw Unknown(text),
        };
    }

    /// <summary>The name that <see cref="Parse"/> reads.</summary>
    public override string ToString() => Weights switch
    {
        WeightLayout.Codebook when Stages == 1 => string.Create(
            CultureInfo.InvariantCulture, $"{CodebookName}{Dimension}"),
        WeightLayout.Codebook => string.Create(CultureInfo.InvariantCulture, $"{CodebookName}{Dimension}x{Stages}"),
        WeightLayout.F32 => "f32",
        WeightLayout.F16 => "f16",
        WeightLayout.BF16 => "bf16",
        _ => "qmoe",
    };

    /// <summary>Makes random matrices of this layout.</summary>
    internal RotatingMatrices Create(int rows, int columns, long minBytes) => Weights switch
    {
        WeightLayout.F32 => new RotatingMatrices(WeightFormat.F32, rows, columns, minBytes),
        WeightLayout.F16 => new RotatingMatrices(WeightFormat.F16, rows, columns, minBytes),
        WeightLayout.BF16 => new RotatingMatrices(WeightFormat.BF16, rows, columns, minBytes),
        WeightLayout.Codebook => new RotatingMatrices(new CodebookShape(rows, columns, Dimension, Stages), minBytes),
        _ => CreateTernary(rows, columns, minBytes),
    };

    /// <summary>Independent weights at the 88.5 % zeros that QMoE's dictionary is made for.</summary>
    private static RotatingMatrices CreateTernary(int rows, int columns, long minBytes)
    {
        const double Zeros = .885;
        const ushort Low = 0xBF80, High = 0x3F40;
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)rows * columns, Array.MaxLength, nameof(rows));
        var random = new Random(rows ^ columns);
        var weights = new ushort[rows * columns];
        for (int i = 0; i < weights.Length; i++)
            weights[i] = random.NextDouble() < Zeros ? (ushort)0 : random.Next(2) == 0 ? Low : High;
        using TernaryTileMatrix matrix = TernaryTileMatrix.From(QmoeEncoder.Encode(weights, rows, columns));
        return new RotatingMatrices(matrix, minBytes);
    }

    private static KernelLayout ParseCodebook(string text)
    {
        string[] numbers = text[CodebookName.Length..].Split('x');
        int stages = 1;
        bool valid = numbers.Length is 1 or 2
            && TryParse(numbers[0], CodebookShape.MaxDimension, out int dimension)
            && (numbers.Length == 1 || TryParse(numbers[1], CodebookShape.MaxStages, out stages));
        return valid
            ? new(WeightLayout.Codebook, int.Parse(numbers[0], CultureInfo.InvariantCulture), stages)
            : throw Unknown(text);
    }

    private static bool TryParse(string text, int most, out int value) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= 1 && value <= most;

    private static ArgumentException Unknown(string text) =>
        new($"Unknown layout '{text}'. Known: {Known}.", nameof(text));
}
