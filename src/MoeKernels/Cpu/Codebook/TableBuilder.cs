using System.Runtime.CompilerServices;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Builds the tables of one chunk of one token. All instruction sets give the integers of
/// <see cref="CodebookReference.Table"/>.</summary>
internal static unsafe class TableBuilder
{
    private const int MaxColumns = CodebookShape.MaxChunkEntries * CodebookShape.MaxDimension;

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
        float* scaled = stackalloc float[MaxColumns + GroupRounding.Overhang];
        Scale(source.InputScales, x, first, columns, scaled);
        int padded = (groups * source.Dimension) + GroupRounding.Overhang;
        new Span<float>(scaled + columns, padded - columns).Clear();
        byte* inputs = stackalloc byte[MaxColumns + GroupRounding.Overhang];
        short* weights = stackalloc short[CodebookShape.MaxChunkEntries + 4];
        float step = GroupRounding.Round(scaled, groups, source.Dimension, inputs, weights);

        short* memory = stackalloc short[(CodebookShape.MaxChunkEntries * CodebookShape.Vectors) + 32];
        short* dots = (short*)(((nint)memory + 63) & ~63);
        int largest = Dots(source, groups, inputs, weights, dots);
        int factor = Math.Min(short.MaxValue, ((128 << 16) - 1) / Math.Max(largest, 1));
        Round(dots, groups * source.Stages * CodebookShape.Vectors, (short)factor, table);
        return largest == 0 && !float.IsNaN(step) ? 0 : 32768f / factor * step;
    }

    private static void Scale(float* inputScales, float* x, int first, int columns, float* scaled)
    {
        if (inputScales == null)
            Unsafe.CopyBlockUnaligned(scaled, x, (uint)(columns * sizeof(float)));
        else
            InputRounding.Scale(x, inputScales + first, columns, scaled);
    }

    private static int Dots(in TableSource source, int groups, byte* inputs, short* weights, short* dots) =>
        Simd.Level switch
        {
            SimdLevel.V512 when TableBody512.IsSupported => TableBody512.Dots(source, groups, inputs, weights, dots),
            >= SimdLevel.V256 when TableBody256.IsSupported => TableBody256.Dots(source, groups, inputs, weights, dots),
            >= SimdLevel.V128 => TableBody128.Dots(source, groups, inputs, weights, dots),
            _ => TableBodySoftware.Dots(source, groups, inputs, weights, dots),
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
