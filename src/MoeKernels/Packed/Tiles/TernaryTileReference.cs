namespace MoeKernels.Packed;

/// <summary>The product with ternary tiles in plain loops over QMoE's symbols: what every kernel must reproduce, bit
/// for bit.</summary>
internal static class TernaryTileReference
{
    /// <summary>
    /// Computes <c>y = W x</c>. Inputs are rounded as for codebook matrices, one step per 128 columns; per row and
    /// level the rounded inputs of the members add up in whole numbers, 128-column sums with their step by fused
    /// multiply-add, and <c>y = high * S₁ + low * S₀</c>, fused.
    /// </summary>
    /// <param name="w">W, [rows × columns].</param>
    /// <param name="x">[columns].</param>
    /// <param name="y">Output, [rows].</param>
    public static void Forward(QmoeMatrix w, ReadOnlySpan<float> x, Span<float> y)
    {
        const int Columns = TernaryTileShape.TileColumns;
        int tiles = new TernaryTileShape(w.Rows, w.Columns).Tiles;
        var numbers = new sbyte[w.Columns];
        var steps = new float[tiles];
        for (int tile = 0; tile < tiles; tile++)
        {
            ReadOnlySpan<float> inputs = x[(tile * Columns)..Math.Min((tile + 1) * Columns, w.Columns)];
            steps[tile] = CodebookReference.RoundInputs(inputs, numbers.AsSpan(tile * Columns, inputs.Length));
        }

        var symbols = new byte[w.Columns];
        Span<int> totals = stackalloc int[3];
        Span<float> sums = stackalloc float[3];
        for (int row = 0; row < w.Rows; row++)
        {
            w.DecodeSymbols(row, symbols);
            float low = Widen(w.Levels[2 * row]), high = Widen(w.Levels[(2 * row) + 1]);
            sums.Clear();
            for (int tile = 0; tile < tiles; tile++)
            {
                totals.Clear();
                for (int column = tile * Columns; column < Math.Min((tile + 1) * Columns, w.Columns); column++)
                    totals[symbols[column]] += numbers[column];
                sums[1] = MathF.FusedMultiplyAdd(steps[tile], low == 0 ? 0 : totals[1], sums[1]);
                sums[2] = MathF.FusedMultiplyAdd(steps[tile], high == 0 ? 0 : totals[2], sums[2]);
            }

            y[row] = MathF.FusedMultiplyAdd(high, sums[2], low * sums[1]);
        }
    }

    private static float Widen(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
