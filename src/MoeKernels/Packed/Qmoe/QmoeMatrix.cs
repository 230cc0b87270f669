using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>
/// A ternary matrix in QMoE's codewords: every row is a run of 16-bit codewords and two bf16 levels, and every weight
/// is 0 or one of the two. Byte layout and traps are in FORMAT.md.
/// </summary>
/// <remarks>Immutable and thread-safe. What was checked on construction makes every decode stay in range.</remarks>
internal sealed class QmoeMatrix
{
    private readonly ushort[] _codes;
    private readonly int[] _rowOffsets;
    private readonly ushort[] _levels;

    private QmoeMatrix(ushort[] codes, int[] rowOffsets, ushort[] levels, int columns)
    {
        _codes = codes;
        _rowOffsets = rowOffsets;
        _levels = levels;
        Columns = columns;
    }

    /// <summary>Number of outputs.</summary>
    internal int Rows => _rowOffsets.Length - 1;

    /// <summary>Number of inputs.</summary>
    internal int Columns { get; }

    /// <summary>Codewords of all rows, one row after the other.</summary>
    internal ReadOnlySpan<ushort> Codes => _codes;

    /// <summary>[rows + 1] first codeword of each row; the last entry is the number of codewords.</summary>
    internal ReadOnlySpan<int> RowOffsets => _rowOffsets;

    /// <summary>[rows][2] levels of symbol 1 and symbol 2 as bf16 bits.</summary>
    internal ReadOnlySpan<ushort> Levels => _levels;

    /// <summary>Bits stored: codewords, offsets and levels.</summary>
    internal long BitCount => (16L * _codes.Length) + (32L * _rowOffsets.Length) + (16L * _levels.Length);

    /// <summary>Bits per weight, all metadata counted.</summary>
    internal double BitsPerWeight => BitCount / ((double)Rows * Columns);

    /// <summary>Makes a matrix of its stored parts, which it takes over, and checks them.</summary>
    /// <param name="file">Where the parts come from, for messages.</param>
    /// <param name="name">The matrix, for messages.</param>
    /// <param name="codes">Codewords of all rows.</param>
    /// <param name="rowOffsets">[rows + 1] first codeword of each row.</param>
    /// <param name="levels">[rows][2] bf16 bits.</param>
    /// <param name="columns">Number of inputs, which the format does not store.</param>
    /// <param name="droppedRowsAreZero">
    /// Accepts rows without codewords as zeros. The authors' encoder writes them for the rows behind the last multiple
    /// of 32, whose weights are lost: an error unless the caller asks for them.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">There are no columns.</exception>
    /// <exception cref="MoeFormatException">The parts contradict each other or a level is not finite.</exception>
    internal static QmoeMatrix Create(
        string file,
        string name,
        ushort[] codes,
        int[] rowOffsets,
        ushort[] levels,
        int columns,
        bool droppedRowsAreZero = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        var matrix = new QmoeMatrix(codes, rowOffsets, levels, columns);
        string? problem = matrix.FindProblem(droppedRowsAreZero);
        return problem is null ? matrix : throw new MoeFormatException(file, Shown.Short(name), problem);
    }

    /// <summary>Codewords of one row.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    internal ReadOnlySpan<ushort> RowCodes(int row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        return _codes.AsSpan(_rowOffsets[row], _rowOffsets[row + 1] - _rowOffsets[row]);
    }

    /// <summary>Writes the symbols of one row: 0 zero, 1 and 2 the row's levels.</summary>
    /// <param name="row">The row.</param>
    /// <param name="symbols">[columns].</param>
    /// <exception cref="ArgumentException">The span is not as long as the row.</exception>
    internal void DecodeSymbols(int row, Span<byte> symbols)
    {
        CheckLength(symbols.Length);
        QmoeDictionary dictionary = QmoeDictionary.Shared;
        int column = 0;
        foreach (ushort code in RowCodes(row))
            column += dictionary.Expand(code, symbols[column..]);

        // Only a dropped row ends before its width.
        symbols[column..].Clear();
    }

    /// <summary>Writes the weights of one row as bf16 bits: the scalar definition of the format.</summary>
    /// <param name="row">The row.</param>
    /// <param name="weights">[columns].</param>
    /// <exception cref="ArgumentException">The span is not as long as the row.</exception>
    internal void DecodeRow(int row, Span<ushort> weights)
    {
        CheckLength(weights.Length);
        Span<byte> symbols = stackalloc byte[2 * QmoeDictionary.MaxPairs];
        Span<ushort> values = [0, 0, 0];
        ReadOnlySpan<ushort> codes = RowCodes(row);
        _levels.AsSpan(2 * row, 2).CopyTo(values[1..]);
        int column = 0;
        foreach (ushort code in codes)
        {
            int count = Math.Min(QmoeDictionary.Shared.Expand(code, symbols), Columns - column);
            for (int i = 0; i < count; i++)
                weights[column + i] = values[symbols[i]];

            column += count;
        }

        weights[column..].Clear();
    }

    private void CheckLength(int length)
    {
        if (length != Columns)
            throw new ArgumentException($"A row has {Columns} weights, not {length}.");
    }

    private string? FindProblem(bool droppedRowsAreZero)
    {
        if (_rowOffsets.Length < 2 || _rowOffsets[0] != 0 || _rowOffsets[^1] != _codes.Length)
            return $"the {_rowOffsets.Length} row offsets do not span the {_codes.Length} codewords";

        if (_levels.Length != 2L * Rows)
            return $"{_levels.Length} levels do not fit {Rows} rows";

        for (int row = 0; row < Rows; row++)
        {
            // The last offset is in range, so growing offsets keep every row in range.
            if (_rowOffsets[row] > _rowOffsets[row + 1] || _rowOffsets[row + 1] > _codes.Length)
                return $"row {row} has the codewords {_rowOffsets[row]} to {_rowOffsets[row + 1]}";
            if (!IsFinite(_levels[2 * row]) || !IsFinite(_levels[(2 * row) + 1]))
                return $"a level of row {row} is not finite";
            if (FindLengthProblem(row, droppedRowsAreZero) is { } problem)
                return problem;
        }

        return null;
    }

    private string? FindLengthProblem(int row, bool droppedRowsAreZero)
    {
        ReadOnlySpan<ushort> codes = RowCodes(row);
        if (codes.IsEmpty)
        {
            return droppedRowsAreZero
                ? null
                : $"row {row} has no codewords (QMoE's encoder drops the rows behind the last multiple of 32)";
        }

        long pairs = 0;
        foreach (ushort code in codes)
            pairs += QmoeDictionary.Shared.PairCount(code);

        long wanted = (Columns + 1L) / 2;
        return pairs == wanted ? null : $"row {row} holds {pairs} pairs of weights, {Columns} columns need {wanted}";
    }

    private static bool IsFinite(ushort bits) => (bits & 0x7F80) != 0x7F80;
}
