namespace MoeKernels.Cpu;

/// <summary>Sums over the members of a band, per token, level and row, somewhere in the caller's memory.</summary>
/// <param name="data">[token, level, row] or [level, row, token].</param>
/// <param name="isWide">Whether tokens are neighbours.</param>
internal readonly unsafe struct TileSums(float* data, bool isWide)
{
    private const int Rows = TernaryTileShape.BandRows;

    /// <summary>Floats for a panel of tokens.</summary>
    public const int Count = 2 * Rows * TileInputs.PanelTokens;

    /// <summary>First sum.</summary>
    public readonly float* Data = data;

    /// <summary>Whether tokens are neighbours.</summary>
    public readonly bool IsWide = isWide;

    /// <summary>Outputs of one token: <c>y[r] = high[r] S₁[r] + low[r] S₀[r]</c>, fused, plus the bias.</summary>
    /// <param name="token">Token of the panel.</param>
    /// <param name="levels">Levels of the rows as bf16 bits, [rows × 2].</param>
    /// <param name="bias">[rows] or null.</param>
    /// <param name="y">Output, [rows].</param>
    /// <param name="rows">At most 64.</param>
    public void Combine(int token, ushort* levels, float* bias, float* y, int rows)
    {
        float* first = Data + (IsWide ? token : token * 2 * Rows);
        nint stride = IsWide ? TileInputs.PanelTokens : 1;
        for (int row = 0; row < rows; row++)
        {
            float low = Widen(levels[2 * row]) * first[row * stride];
            y[row] = MathF.FusedMultiplyAdd(Widen(levels[(2 * row) + 1]), first[(Rows + row) * stride], low);
        }

        for (int row = 0; bias != null && row < rows; row++)
            y[row] += bias[row];
    }

    private static float Widen(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
