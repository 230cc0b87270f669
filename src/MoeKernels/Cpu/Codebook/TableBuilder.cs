using System.Runtime.CompilerServices;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Builds the tables of one chunk of one token. All instruction sets give the integers of
/// <see cref="CodebookReference.Table"/>.</summary>
internal static unsafe class TableBuilder
{
    private const int MaxColumns = CodebookShape.MaxChunkEntries * CodebookShape.MaxDimension;

    /// <summary>A vector may read a pair behind the last column; it multiplies that by zero.</summary>
    private const int Padding = 2;

    /// <summary>Builds the tables.</summary>
    /// <param name="source">The codebook.</param>
    /// <param name="groups">Groups of the chunk.</param>
    /// <param name="x">Inputs of the chunk, [columns].</param>
    /// <param name="first">The chunk's first column in the matrix.</param>
    /// <param name="columns">Inputs there are, at most groups × dimension.</param>
    /// <param name="table">Output, [groups × stages × 128].</param>
    /// <returns>The value of half a step.</returns>
    [SkipLocalsInit]
    public static float Build(in TableSource source, int groups, float* x, int first, int columns, byte* table)
    {
        byte* inputs = stackalloc byte[MaxColumns + Padding];
        float step = Round(source.InputScales, x, first, columns, inputs);
        int padded = (groups * source.Dimension) + Padding;
        new Span<byte>(inputs + columns, padded - columns).Fill(InputRounding.Zero);

        short* memory = stackalloc short[(CodebookShape.MaxChunkEntries * CodebookShape.Vectors) + 32];
        short* dots = (short*)(((nint)memory + 63) & ~63);
        int largest = Dots(source, groups, inputs, dots);
        int factor = Math.Min(short.MaxValue, ((128 << 16) - 1) / Math.Max(largest, 1));
        Round(dots, groups * source.Stages * CodebookShape.Vectors, (short)factor, table);
        return largest == 0 && !float.IsNaN(step) ? 0 : 32768f / factor * step;
    }

    [SkipLocalsInit]
    private static float Round(float* inputScales, float* x, int first, int columns, byte* inputs)
    {
        if (inputScales == null)
            return InputRounding.Round(x, columns, inputs);
        float* scaled = stackalloc float[MaxColumns];
        InputRounding.Scale(x, inputScales + first, columns, scaled);
        return InputRounding.Round(scaled, columns, inputs);
    }

    private static int Dots(in TableSource source, int groups, byte* inputs, short* dots) =>
        Simd.Level switch
        {
            SimdLevel.V512 when TableBody512.IsSupported => TableBody512.Dots(source, groups, inputs, dots),
            >= SimdLevel.V256 when TableBody256.IsSupported => TableBody256.Dots(source, groups, inputs, dots),
            >= SimdLevel.V128 => TableBody128.Dots(source, groups, inputs, dots),
            _ => TableBodySoftware.Dots(source, groups, inputs, dots),
        };

    private static void Round(short* dots, int count, short factor, byte* table)
    {
        switch (Simd.Level)
        {
            case SimdLevel.V512 when TableBody512.IsSupported:
                TableBody512.Round(dots, count, factor, table);
                break;
            case >= SimdLevel.V256 when TableBody256.IsSupported:
                TableBody256.Round(dots, count, factor, table);
                break;
            case >= SimdLevel.V128:
                TableBody128.Round(dots, count, factor, table);
                break;
            default:
                TableBodySoftware.Round(dots, count, factor, table);
                break;
        }
    }
}
