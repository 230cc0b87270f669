using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>QMoE's own method for one matrix: GPTQ on three levels, then its codewords.</summary>
internal static unsafe class TernaryMatrix
{
    /// <summary>Rounds and encodes a matrix.</summary>
    /// <param name="weights">W [rows, columns], kept as it is.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="factor">Of the inputs' Hessian.</param>
    /// <param name="options">Ternary, one group a row, levels in bf16: <see cref="ScalarOptions.Qmoe"/>.</param>
    /// <param name="scratch">Working memory.</param>
    /// <param name="loss">See <see cref="ScalarQuantizer.Quantize"/>.</param>
    /// <exception cref="ArgumentException">The options give weights that the codewords cannot hold.</exception>
    /// <exception cref="MoeNonFiniteException">A weight is not finite, or became so.</exception>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public static QmoeMatrix Quantize(
        float* weights, int rows, ScalarFactor factor, ScalarOptions options, Scratch scratch, out double loss)
    {
        if (!options.Grid.IsTernary || options.GroupSize != ScalarOptions.WholeRow || !options.Bf16Levels)
            throw new ArgumentException("QMoE holds ternary weights with one pair of bf16 levels a row.");

        int columns = factor.Columns;
        using Scratch.Frame frame = scratch.Begin();
        byte* codes = scratch.Bytes((long)rows * columns);
        float* highs = scratch.Floats(rows), lows = scratch.Floats(rows);
        loss = ScalarQuantizer.Quantize(weights, rows, factor, options, scratch, codes, highs, lows);
        var values = new ushort[checked(rows * columns)];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<ushort> levels = [0, Bits(lows[row]), Bits(highs[row])];
            for (int i = row * columns; i < (row + 1) * columns; i++)
                values[i] = levels[codes[i]];
        }

        return QmoeEncoder.Encode(values, rows, columns);
    }

    private static ushort Bits(float value) => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
}
