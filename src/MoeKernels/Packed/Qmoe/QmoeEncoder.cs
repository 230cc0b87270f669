namespace MoeKernels.Packed;

/// <summary>
/// Ternary weights to QMoE's codewords: the longest dictionary entry that fits, again and again, anew in every row.
/// </summary>
/// <remarks>The dictionary is closed under prefixes and suffixes, so no other way to cut a row is shorter.</remarks>
internal static class QmoeEncoder
{
    /// <summary>Encodes a matrix whose rows hold at most one negative and one positive value beside zero.</summary>
    /// <param name="weights">[rows, columns] bf16 bits; -0 counts as 0 and comes back as 0.</param>
    /// <param name="rows">Number of outputs.</param>
    /// <param name="columns">Number of inputs.</param>
    /// <param name="rule">How weights become symbols.</param>
    /// <exception cref="ArgumentException">The weights do not fill the matrix, or a row is not ternary.</exception>
    internal static QmoeMatrix Encode(
        ReadOnlySpan<ushort> weights, int rows, int columns, QmoeSymbolRule rule = QmoeSymbolRule.BySign)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (weights.Length != (long)rows * columns)
            throw new ArgumentException($"{weights.Length} weights do not fill {rows} x {columns}.", nameof(weights));

        var codes = new List<ushort>();
        var offsets = new int[rows + 1];
        var levels = new ushort[2 * rows];
        var symbols = new byte[columns];
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<ushort> values = weights.Slice(row * columns, columns);
            (levels[2 * row], levels[(2 * row) + 1]) = FindLevels(values, row, rule);
            NameWeights(values, levels.AsSpan(2 * row, 2), rule, symbols);
            EncodeRow(symbols, codes);
            offsets[row + 1] = codes.Count;
        }

        return QmoeMatrix.Create("encoder", "matrix", [.. codes], offsets, levels, columns);
    }

    /// <summary>Appends the codewords of one row.</summary>
    /// <param name="symbols">[columns], each 0, 1 or 2.</param>
    /// <param name="codes">Takes the codewords.</param>
    internal static void EncodeRow(ReadOnlySpan<byte> symbols, List<ushort> codes)
    {
        QmoeDictionary dictionary = QmoeDictionary.Shared;
        int node = QmoeDictionary.Root;
        for (int i = 0; i < symbols.Length; i += 2)
        {
            int pair = symbols[i] + (i + 1 < symbols.Length ? 3 * symbols[i + 1] : 0);
            int next = dictionary.Child(node, pair);
            if (next == QmoeDictionary.Missing)
            {
                codes.Add((ushort)node);
                next = dictionary.Child(QmoeDictionary.Root, pair);
            }

            node = next;
        }

        if (node != QmoeDictionary.Root)
            codes.Add((ushort)node);
    }

    /// <summary>The row's levels; throws where a third value meets them.</summary>
    private static (ushort Low, ushort High) FindLevels(ReadOnlySpan<ushort> values, int row, QmoeSymbolRule rule)
    {
        ushort negative = 0;
        ushort positive = 0;
        bool hasZero = false;
        foreach (ushort value in values)
        {
            bool isNegative = value > 0x8000;
            ref ushort level = ref isNegative ? ref negative : ref positive;
            if (IsZero(value))
                hasZero = true;
            else if ((value & 0x7F80) == 0x7F80 || (level != 0 && level != value))
                throw new ArgumentException($"Row {row} is not ternary: it holds 0x{value:X4}.", nameof(values));
            else
                level = value;
        }

        if (rule == QmoeSymbolRule.BySign || hasZero || (negative != 0 && positive != 0))
            return (negative, positive);

        // All weights are one value, which is minimum and maximum in one.
        ushort only = negative != 0 ? negative : positive;
        return (only, only);
    }

    private static void NameWeights(
        ReadOnlySpan<ushort> values, ReadOnlySpan<ushort> levels, QmoeSymbolRule rule, Span<byte> symbols)
    {
        bool byEquality = rule == QmoeSymbolRule.ByEquality;
        for (int i = 0; i < values.Length; i++)
        {
            ushort value = IsZero(values[i]) ? (ushort)0 : values[i];
            bool named = byEquality || value != 0;
            symbols[i] = (byte)(named && value == levels[1] ? 2 : named && value == levels[0] ? 1 : 0);
        }
    }

    private static bool IsZero(ushort value) => (value & 0x7FFF) == 0;
}
