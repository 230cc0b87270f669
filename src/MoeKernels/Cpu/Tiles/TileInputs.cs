using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Inputs of a product with ternary tiles: whole numbers of 8 bits, -127 to 127, and one step per token and
/// tile of 128 columns.</summary>
/// <remarks>
/// Few tokens: each has its numbers as bytes in a row, to be looked up by permutation. Many: panels of 32 tokens hold
/// 16-bit numbers as [tile][column][token], to be added a register at a time. Products are the same whole numbers.
/// </remarks>
internal readonly unsafe struct TileInputs
{
    /// <summary>Tokens of a panel.</summary>
    public const int PanelTokens = 32;

    private const int Columns = TernaryTileShape.TileColumns;

    private readonly int _columns, _tokens, _tiles;
    private readonly byte* _memory;

    /// <summary>Lays the numbers out.</summary>
    /// <param name="columns">Inputs of a token.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="memory">What <see cref="ByteCount"/> asks for, aligned to 64 bytes.</param>
    public TileInputs(int columns, int tokens, byte* memory)
    {
        (_columns, _tokens, _tiles) = (columns, tokens, Tiles(columns));
        _memory = memory;
        IsWide = NeedsPanels(tokens);
    }

    /// <summary>Whether the numbers are in panels.</summary>
    public bool IsWide { get; }

    /// <summary>Distance between two tokens of <see cref="Numbers"/>.</summary>
    public nint Stride => (nint)_tiles * Columns;

    /// <summary>Tiles of a row.</summary>
    public int TileCount => _tiles;

    private float* AllSteps => (float*)(_memory + NumberBytes(_tiles, _tokens));

    /// <summary>Bytes for some tokens, a multiple of 64.</summary>
    public static long ByteCount(int columns, int tokens)
    {
        int tiles = Tiles(columns);
        long steps = sizeof(float) * (long)tiles * (NeedsPanels(tokens) ? Padded(tokens) : tokens);
        return (NumberBytes(tiles, tokens) + steps + 63) & ~63L;
    }

    /// <summary>Numbers of a token, [tiles × 128]; not for panels.</summary>
    public sbyte* Numbers(int token) => (sbyte*)_memory + (token * Stride);

    /// <summary>Steps of a token, [tiles]; not for panels.</summary>
    public float* Steps(int token) => AllSteps + ((nint)token * _tiles);

    /// <summary>Numbers of a panel, [tiles × 128 × 32].</summary>
    public short* PanelNumbers(int panel) => (short*)_memory + (panel * PanelTokens * Stride);

    /// <summary>Steps of a panel, [tiles × 32].</summary>
    public float* PanelSteps(int panel) => AllSteps + ((nint)panel * PanelTokens * _tiles);

    /// <summary>Rounds one token.</summary>
    /// <param name="token">The token.</param>
    /// <param name="x">Its inputs, [columns].</param>
    public void Round(int token, float* x)
    {
        byte* numbers = stackalloc byte[Columns];
        for (int tile = 0; tile < _tiles; tile++)
        {
            int count = Math.Min(Columns, _columns - (tile * Columns));
            new Span<byte>(numbers, Columns).Fill(InputRounding.Zero);
            float step = InputRounding.Round(x + (tile * Columns), count, numbers);
            if (IsWide)
                StoreWide(token, tile, numbers, step);
            else
                Store(token, tile, numbers, step);
        }
    }

    private void Store(int token, int tile, byte* numbers, float step)
    {
        sbyte* target = Numbers(token) + (tile * Columns);
        for (int i = 0; i < Columns; i++)
            target[i] = (sbyte)(numbers[i] - InputRounding.Zero);
        Steps(token)[tile] = step;
    }

    private void StoreWide(int token, int tile, byte* numbers, float step)
    {
        (int panel, int lane) = Math.DivRem(token, PanelTokens);
        short* target = PanelNumbers(panel) + ((nint)tile * Columns * PanelTokens) + lane;
        for (int i = 0; i < Columns; i++)
            target[i * PanelTokens] = (short)(numbers[i] - InputRounding.Zero);
        PanelSteps(panel)[(tile * PanelTokens) + lane] = step;
    }

    private static bool NeedsPanels(int tokens) => tokens > TileBand.MostSingleTokens;

    private static int Tiles(int columns) => (columns + Columns - 1) / Columns;

    private static long Padded(int tokens) => (tokens + PanelTokens - 1L) / PanelTokens * PanelTokens;

    private static long NumberBytes(int tiles, int tokens) =>
        (long)tiles * Columns * (NeedsPanels(tokens) ? sizeof(short) * Padded(tokens) : tokens);
}
