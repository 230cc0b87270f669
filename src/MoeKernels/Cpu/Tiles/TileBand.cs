using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Cpu;

/// <summary>Sums over the members of one band of ternary tiles.</summary>
/// <remarks>A tile's sums are whole numbers, exact in every body; tiles are added in ascending order, fused with their
/// step. So the bits are the same for one token and many, and for every instruction set.</remarks>
internal static unsafe class TileBand
{
    private const int Rows = TernaryTileShape.BandRows;
    private const int Columns = TernaryTileShape.TileColumns;
    private const int Tokens = TileInputs.PanelTokens;

    /// <summary>Most tokens whose inputs are kept apart rather than in panels.</summary>
    public static int MostSingleTokens => UsesLookup ? int.MaxValue : 1;

    private static bool UsesLookup => Simd.Level == SimdLevel.V512 && Tile512.IsSupported;

    /// <summary>Computes the sums of one panel.</summary>
    /// <param name="tile">First tile of the band.</param>
    /// <param name="inputs">All inputs.</param>
    /// <param name="panel">Which tokens: 32 from 32 times this on, or all where they are not in panels.</param>
    /// <param name="tokens">Tokens of the panel.</param>
    /// <param name="data">Output, <see cref="TileSums.Count"/>.</param>
    public static TileSums Add(byte* tile, in TileInputs inputs, int panel, int tokens, float* data)
    {
        var sums = new TileSums(data, inputs.IsWide);
        if (inputs.IsWide)
        {
            AddPanel(tile, inputs.TileCount, inputs.PanelNumbers(panel), inputs.PanelSteps(panel), data);
            return sums;
        }

        int first = panel * Tokens;
        int token = 0;
        for (; UsesLookup && token <= tokens - Tile512.Tokens; token += Tile512.Tokens)
            Tile512.AddTokens(tile, inputs, first + token, data + (token * 2 * Rows));
        for (; token < tokens; token++)
        {
            float* output = data + (token * 2 * Rows);
            if (UsesLookup)
                Tile512.Add(tile, inputs, first + token, output);
            else
                AddToken(tile, inputs, first + token, output);
        }

        return sums;
    }

    private static void AddToken(byte* tile, in TileInputs inputs, int token, float* sums)
    {
        int* totals = stackalloc int[2 * Rows];
        var members = new OneToken { Numbers = inputs.Numbers(token), Totals = totals };
        float* steps = inputs.Steps(token);
        new Span<float>(sums, 2 * Rows).Clear();
        for (int i = 0; i < inputs.TileCount; i++, members.Numbers += Columns)
        {
            new Span<int>(totals, 2 * Rows).Clear();
            tile = new TernaryTile(tile).Visit(ref members);
            for (int row = 0; row < 2 * Rows; row++)
                sums[row] = MathF.FusedMultiplyAdd(steps[i], totals[row], sums[row]);
        }
    }

    /// <summary>Sums of 32 tokens, [level, row, token].</summary>
    [SkipLocalsInit]
    private static void AddPanel(byte* tile, int tiles, short* numbers, float* steps, float* sums)
    {
        byte* memory = stackalloc byte[(2 * Rows * Tokens * sizeof(short)) + 64];
        var totals = (short*)(((nint)memory + 63) & ~63);
        var members = new Panel { Numbers = numbers, Totals = totals };
        new Span<float>(sums, TileSums.Count).Clear();
        for (int i = 0; i < tiles; i++, members.Numbers += Columns * Tokens, steps += Tokens)
        {
            new Span<short>(totals, 2 * Rows * Tokens).Clear();
            tile = new TernaryTile(tile).Visit(ref members);
            AddScaled(totals, steps, sums);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddScaled(short* totals, float* steps, float* sums)
    {
        Vector512<float> low = Vector512.Load(steps), high = Vector512.Load(steps + 16);
        for (int row = 0; row < 2 * Rows; row++, totals += Tokens, sums += Tokens)
        {
            (Vector512<int> a, Vector512<int> b) = Vector512.Widen(Vector512.Load(totals));
            Vector512.FusedMultiplyAdd(low, Vector512.ConvertToSingle(a), Vector512.Load(sums)).Store(sums);
            Vector512.FusedMultiplyAdd(high, Vector512.ConvertToSingle(b), Vector512.Load(sums + 16)).Store(sums + 16);
        }
    }

    private struct OneToken : ITernaryMembers
    {
        public sbyte* Numbers;
        public int* Totals;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add(int high, int row, byte* columns, int count) =>
            Totals[(high * Rows) + row] += Numbers[columns[0]] + (Numbers[columns[1] & (Columns - 1)] & (1 - count));
    }

    private struct Panel : ITernaryMembers
    {
        public short* Numbers, Totals;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add(int high, int row, byte* columns, int count)
        {
            short* total = Totals + (((high * Rows) + row) * Tokens);
            Vector512<short> sum = Vector512.Load(total) + Vector512.Load(Numbers + (columns[0] * Tokens));
            if (count > 1)
                sum += Vector512.Load(Numbers + (columns[1] * Tokens));
            sum.Store(total);
        }
    }
}
