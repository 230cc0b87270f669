using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Cpu;

/// <summary>Tiles with 512-bit registers (VBMI2): a tile's inputs are two registers, and one permutation looks up the
/// inputs of 64 members.</summary>
internal static unsafe class Tile512
{
    /// <summary>Tokens of <see cref="AddTokens"/>.</summary>
    public const int Tokens = 4;

    private const int Rows = TernaryTileShape.BandRows;

    public static bool IsSupported =>
        Avx512Vbmi2.IsSupported && Avx512Vbmi.IsSupported && Avx512BW.IsSupported && Popcnt.X64.IsSupported;

    /// <summary>One band, one token.</summary>
    /// <param name="tile">First tile of the band.</param>
    /// <param name="inputs">All inputs, not in panels.</param>
    /// <param name="token">The token.</param>
    /// <param name="sums">Output: per level and row the sum over its members, [2 × 64].</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(byte* tile, in TileInputs inputs, int token, float* sums)
    {
        sbyte* numbers = inputs.Numbers(token);
        float* steps = inputs.Steps(token);
        byte* memory = stackalloc byte[(4 * Rows) + 64];
        var low = (byte*)(((nint)memory + 63) & ~63);
        byte* high = low + Rows;
        var totals = (short*)(high + Rows);
        new Span<float>(sums, 2 * Rows).Clear();
        for (int i = 0; i < inputs.TileCount; i++, numbers += TernaryTileShape.TileColumns)
        {
            byte* codes = ReadCounts(tile, low, high);
            codes = AddLevel(codes, high, numbers, totals);
            AddScaled(totals, steps[i], sums + Rows);
            tile = AddLevel(codes, low, numbers, totals);
            AddScaled(totals, steps[i], sums);
        }
    }

    /// <summary>One band, four tokens: they share the work of spreading the members over their rows.</summary>
    /// <param name="tile">First tile of the band.</param>
    /// <param name="inputs">All inputs, not in panels.</param>
    /// <param name="token">First of the tokens.</param>
    /// <param name="sums">Output: per token, level and row the sum over its members, [4 × 2 × 64].</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddTokens(byte* tile, in TileInputs inputs, int token, float* sums)
    {
        sbyte* numbers = inputs.Numbers(token);
        byte* memory = stackalloc byte[(2 * (Tokens + 1) * Rows) + 64];
        var low = (byte*)(((nint)memory + 63) & ~63);
        byte* high = low + Rows;
        var totals = (short*)(high + Rows);
        new Span<float>(sums, Tokens * 2 * Rows).Clear();
        for (int i = 0; i < inputs.TileCount; i++, numbers += TernaryTileShape.TileColumns)
        {
            byte* codes = ReadCounts(tile, low, high);
            codes = AddLevel(codes, high, numbers, inputs.Stride, totals);
            for (int t = 0; t < Tokens; t++)
                AddScaled(totals + (t * Rows), inputs.Steps(token + t)[i], sums + (((2 * t) + 1) * Rows));
            tile = AddLevel(codes, low, numbers, inputs.Stride, totals);
            for (int t = 0; t < Tokens; t++)
                AddScaled(totals + (t * Rows), inputs.Steps(token + t)[i], sums + (2 * t * Rows));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* ReadCounts(byte* tile, byte* low, byte* high)
    {
        byte* counts = tile + TernaryTile.HeaderBytes;
        Vector512<byte> packed = Vector512.Load(counts);
        if (tile[0] == TernaryTile.Wide)
        {
            packed.Store(high);
            Vector512.Load(counts + Rows).Store(low);
            return counts + (2 * Rows);
        }

        Vector512<byte> nibble = Vector512.Create((byte)15);
        ((packed & nibble) + Vector512.Create(tile[0])).Store(high);
        (((packed.AsUInt16() >> 4).AsByte() & nibble) + Vector512.Create(tile[1])).Store(low);
        return counts + Rows;
    }

    /// <summary>All members of one level: each step adds two members of 32 rows per register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static byte* AddLevel(byte* codes, byte* counts, sbyte* numbers, short* totals)
    {
        Vector512<sbyte> first = Vector512.Load(numbers), second = Vector512.Load(numbers + Rows);
        Vector512<byte> ones = Vector512<byte>.One;
        Vector512<byte> leftA = Avx512Vbmi.PermuteVar64x8(Vector512.Load(counts), Doubled);
        Vector512<byte> leftB = Avx512Vbmi.PermuteVar64x8(
            Vector512.Load(counts), Doubled + Vector512.Create((byte)32));
        Vector512<byte> taken = Vector512.Create((ushort)0x0100).AsByte();
        Vector512<short> sumA = default, sumB = default;
        while (true)
        {
            Vector512<byte> maskA = Vector512.GreaterThan(leftA, taken);
            Vector512<byte> maskB = Vector512.GreaterThan(leftB, taken);
            ulong bitsA = maskA.ExtractMostSignificantBits(), bitsB = maskB.ExtractMostSignificantBits();
            if ((bitsA | bitsB) == 0)
                break;
            Vector512<byte> a = Avx512Vbmi2.Expand(Vector512<byte>.Zero, maskA, Vector512.Load(codes));
            codes += (nint)Popcnt.X64.PopCount(bitsA);
            Vector512<byte> b = Avx512Vbmi2.Expand(Vector512<byte>.Zero, maskB, Vector512.Load(codes));
            codes += (nint)Popcnt.X64.PopCount(bitsB);
            Vector512<sbyte> va = Avx512Vbmi.PermuteVar64x8x2(first, a.AsSByte(), second);
            Vector512<sbyte> vb = Avx512Vbmi.PermuteVar64x8x2(first, b.AsSByte(), second);
            sumA += Avx512BW.MultiplyAddAdjacent(maskA & ones, va);
            sumB += Avx512BW.MultiplyAddAdjacent(maskB & ones, vb);
            taken += Vector512.Create((byte)2);
        }

        Store(sumA, sumB, totals);
        return codes;
    }

    /// <summary>The same for four tokens.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static byte* AddLevel(byte* codes, byte* counts, sbyte* numbers, nint stride, short* totals)
    {
        Vector512<byte> ones = Vector512<byte>.One;
        Vector512<byte> leftA = Avx512Vbmi.PermuteVar64x8(Vector512.Load(counts), Doubled);
        Vector512<byte> leftB = Avx512Vbmi.PermuteVar64x8(
            Vector512.Load(counts), Doubled + Vector512.Create((byte)32));
        Vector512<byte> taken = Vector512.Create((ushort)0x0100).AsByte();
        sbyte* n1 = numbers + stride, n2 = n1 + stride, n3 = n2 + stride;
        Vector512<short> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector512<short> b0 = default, b1 = default, b2 = default, b3 = default;
        while (true)
        {
            Vector512<byte> maskA = Vector512.GreaterThan(leftA, taken);
            Vector512<byte> maskB = Vector512.GreaterThan(leftB, taken);
            ulong bitsA = maskA.ExtractMostSignificantBits(), bitsB = maskB.ExtractMostSignificantBits();
            if ((bitsA | bitsB) == 0)
                break;
            Vector512<byte> a = Avx512Vbmi2.Expand(Vector512<byte>.Zero, maskA, Vector512.Load(codes));
            codes += (nint)Popcnt.X64.PopCount(bitsA);
            Vector512<byte> b = Avx512Vbmi2.Expand(Vector512<byte>.Zero, maskB, Vector512.Load(codes));
            codes += (nint)Popcnt.X64.PopCount(bitsB);
            maskA &= ones;
            maskB &= ones;
            a0 += Avx512BW.MultiplyAddAdjacent(maskA, LookUp(numbers, a));
            b0 += Avx512BW.MultiplyAddAdjacent(maskB, LookUp(numbers, b));
            a1 += Avx512BW.MultiplyAddAdjacent(maskA, LookUp(n1, a));
            b1 += Avx512BW.MultiplyAddAdjacent(maskB, LookUp(n1, b));
            a2 += Avx512BW.MultiplyAddAdjacent(maskA, LookUp(n2, a));
            b2 += Avx512BW.MultiplyAddAdjacent(maskB, LookUp(n2, b));
            a3 += Avx512BW.MultiplyAddAdjacent(maskA, LookUp(n3, a));
            b3 += Avx512BW.MultiplyAddAdjacent(maskB, LookUp(n3, b));
            taken += Vector512.Create((byte)2);
        }

        Store(a0, b0, totals);
        Store(a1, b1, totals + Rows);
        Store(a2, b2, totals + (2 * Rows));
        Store(a3, b3, totals + (3 * Rows));
        return codes;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<sbyte> LookUp(sbyte* numbers, Vector512<byte> columns) =>
        Avx512Vbmi.PermuteVar64x8x2(Vector512.Load(numbers), columns.AsSByte(), Vector512.Load(numbers + Rows));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<short> a, Vector512<short> b, short* totals)
    {
        a.Store(totals);
        b.Store(totals + TernaryTile.HalfRows);
    }

    /// <summary>Each index twice: a row's count for both of its bytes.</summary>
    private static Vector512<byte> Doubled
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(
            (byte)0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
            14, 14, 15, 15, 16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 25, 25,
            26, 26, 27, 27, 28, 28, 29, 29, 30, 30, 31, 31);
    }

    /// <summary>Adds 64 whole sums times the step, fused.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddScaled(short* totals, float step, float* sums)
    {
        Vector512<float> steps = Vector512.Create(step);
        for (int i = 0; i < Rows; i += 16)
        {
            Vector512<int> whole = Avx512F.ConvertToVector512Int32(Vector256.Load(totals + i));
            Vector512<float> sum = Vector512.Load(sums + i);
            Vector512.FusedMultiplyAdd(steps, Vector512.ConvertToSingle(whole), sum).Store(sums + i);
        }
    }
}
