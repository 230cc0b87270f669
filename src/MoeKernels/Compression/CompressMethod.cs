using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace MoeKernels.Compression;

/// <summary>How expert matrices are coded.</summary>
public readonly record struct CompressMethod
{
    private const int QmoeBits = -1;
    private const string QmoeName = "qmoe", CodebookName = "codebook", IntegerName = "int";

    /// <summary>0 for codebooks.</summary>
    private readonly int _bits;

    private CompressMethod(int bits) => _bits = bits;

    /// <summary>Trained codebooks: any budget of bits, spread over the model by what it is worth.</summary>
    public static CompressMethod Codebook => default;

    /// <summary>QMoE's own method (arXiv 2310.16795): GPTQ on three levels a row, stored in its codewords. The bits
    /// are what the weights' zeros make them.</summary>
    public static CompressMethod Qmoe => new(QmoeBits);

    /// <summary>Name without bits: <c>codebook</c>, <c>qmoe</c> or <c>int</c>.</summary>
    public string Name => _bits switch { 0 => CodebookName, QmoeBits => QmoeName, _ => IntegerName };

    /// <summary>Whether a budget of bits is spent; other methods take what they take.</summary>
    public bool HasBudget => _bits == 0;

    /// <summary>Bits of a code; null for methods without integers.</summary>
    public int? IntegerBits => _bits > 0 ? _bits : null;

    /// <summary>Whether weights are rounded to the nearest level, whatever the calibration text says.</summary>
    internal bool RoundsPlainly { get; private init; }

    /// <summary>GPTQ on plain integers by groups of 64 columns: the reference beside codebooks.</summary>
    /// <param name="bits">2, 3 or 4.</param>
    /// <exception cref="ArgumentOutOfRangeException">Another number of bits.</exception>
    public static CompressMethod Integers(int bits)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bits, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bits, 4);
        return new CompressMethod(bits);
    }

    /// <summary>Reads <c>codebook</c>, <c>qmoe</c>, <c>int:2</c>, <c>int:3</c> or <c>int:4</c>.</summary>
    /// <param name="text">The text.</param>
    /// <param name="method">Receives the method.</param>
    /// <returns>Whether it is one of them.</returns>
    public static bool TryParse([NotNullWhen(true)] string? text, out CompressMethod method)
    {
        CompressMethod[] all = [Codebook, Qmoe, Integers(2), Integers(3), Integers(4)];
        int index = Array.FindIndex(all, one => one.ToString() == text);
        method = index < 0 ? default : all[index];
        return index >= 0;
    }

    /// <summary>The text that <see cref="TryParse"/> reads.</summary>
    public override string ToString() =>
        IntegerBits is { } bits ? string.Create(CultureInfo.InvariantCulture, $"{Name}:{bits}") : Name;

    /// <summary>The same grid without calibration.</summary>
    internal CompressMethod Plainly() => this with { RoundsPlainly = true };
}
