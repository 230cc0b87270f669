using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Lookups with 512-bit registers: a table is two registers, a line of codes one (VBMI, GFNI).</summary>
internal static unsafe partial class Lookup512
{
    private const int Line = CodebookShape.BlockRows;
    private const int Table = CodebookShape.Vectors;

    public static bool IsSupported => Avx512Vbmi.IsSupported && Gfni.V512.IsSupported && Avx512BW.IsSupported;

    /// <summary>Adds a strip's chunk to the sums: four tokens and two blocks at a time where there are that many,
    /// four blocks of one token else.</summary>
    public static void Add(in LookupStrip strip)
    {
        int token = 0;
        for (; token <= strip.Tokens - 4; token += 4)
        {
            int block = 0;
            for (; block <= strip.Blocks - 2; block += 2)
                AddTile(strip, token, block);
            for (int t = token; block < strip.Blocks && t < token + 4; t++)
                AddBlock(strip, t, block);
        }

        for (; token < strip.Tokens; token++)
        {
            if (strip.Blocks == CodebookShape.StripBlocks)
            {
                AddStrip(strip, token);
                continue;
            }

            for (int block = 0; block < strip.Blocks; block++)
                AddBlock(strip, token, block);
        }
    }

    /// <summary>One token, four blocks: they share the loads of the tables.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddStrip(in LookupStrip strip, int token)
    {
        const int Stride = 8 * Line;
        int entries = strip.Entries;
        byte* codes = strip.Codes;
        byte* table = strip.Table(token);
        Vector512<ushort> words0 = default, words1 = default, words2 = default, words3 = default;
        Vector512<ushort> odd0 = default, odd1 = default, odd2 = default, odd3 = default;
        for (int pairs = entries / 2; pairs > 0; pairs--)
        {
            Vector512<byte> a = Vector512.Load(table), b = Vector512.Load(table + Line);
            Vector512<byte> c = Vector512.Load(table + Table), d = Vector512.Load(table + Table + Line);
            Vector512<ushort> v0 = Pair(codes, a, b, c, d), v1 = Pair(codes + (2 * Line), a, b, c, d);
            Vector512<ushort> v2 = Pair(codes + (4 * Line), a, b, c, d), v3 = Pair(codes + (6 * Line), a, b, c, d);
            words0 += v0;
            odd0 += v0 >> 8;
            words1 += v1;
            odd1 += v1 >> 8;
            words2 += v2;
            odd2 += v2 >> 8;
            words3 += v3;
            odd3 += v3 >> 8;
            codes += Stride;
            table += 2 * Table;
        }

        if ((entries & 1) != 0)
        {
            AddSingle(codes, table, ref words0, ref odd0);
            AddSingle(codes + Line, table, ref words1, ref odd1);
            AddSingle(codes + (2 * Line), table, ref words2, ref odd2);
            AddSingle(codes + (3 * Line), table, ref words3, ref odd3);
        }

        float* sums = strip.Sums + (token * strip.SumStride);
        float step = strip.Step(token);
        AddSums(words0, odd0, entries, step, sums);
        AddSums(words1, odd1, entries, step, sums + Line);
        AddSums(words2, odd2, entries, step, sums + (2 * Line));
        AddSums(words3, odd3, entries, step, sums + (3 * Line));
    }

    /// <summary>One token, one block of a strip of any width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddBlock(in LookupStrip strip, int token, int block)
    {
        int entries = strip.Entries;
        byte* codes = strip.Codes + (block * 2 * Line);
        byte* table = strip.Table(token);
        nint stride = strip.Blocks * 2 * Line;
        Vector512<ushort> words = default, odd = default;
        for (int pairs = entries / 2; pairs > 0; pairs--)
        {
            Vector512<ushort> value = Pair(
                codes, Vector512.Load(table), Vector512.Load(table + Line), Vector512.Load(table + Table),
                Vector512.Load(table + Table + Line));
            words += value;
            odd += value >> 8;
            codes += stride;
            table += 2 * Table;
        }

        if ((entries & 1) != 0)
            AddSingle(codes - (block * Line), table, ref words, ref odd);
        float* sums = strip.Sums + (token * strip.SumStride) + (block * Line);
        AddSums(words, odd, entries, strip.Step(token), sums);
    }

    /// <summary>The values of two lines of codes added in bytes, as words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ushort> Pair(
        byte* codes, Vector512<byte> a, Vector512<byte> b, Vector512<byte> c, Vector512<byte> d)
    {
        Vector512<byte> first = Vector512.Load(codes), second = Vector512.Load(codes + Line);
        return Pair(first, second, Sign(first), Sign(second), a, b, c, d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ushort> Pair(
        Vector512<byte> first, Vector512<byte> second, Vector512<byte> firstSign, Vector512<byte> secondSign,
        Vector512<byte> a, Vector512<byte> b, Vector512<byte> c, Vector512<byte> d) =>
        ((Avx512Vbmi.PermuteVar64x8x2(a, first, b) ^ firstSign)
            + (Avx512Vbmi.PermuteVar64x8x2(c, second, d) ^ secondSign)).AsUInt16();

    /// <summary>127 for the codes with bit 7 set, 0 for the others: a bit matrix whose rows but the first pick bit
    /// 7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Sign(Vector512<byte> codes) =>
        Gfni.V512.GaloisFieldAffineTransform(codes, Vector512.Create(0x8080_8080_8080_8000UL).AsByte(), 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSingle(
        byte* codes, byte* table, ref Vector512<ushort> words, ref Vector512<ushort> odd)
    {
        Vector512<byte> code = Vector512.Load(codes);
        Vector512<byte> found = Avx512Vbmi.PermuteVar64x8x2(
            Vector512.Load(table), code, Vector512.Load(table + Line));
        Vector512<ushort> value = (found ^ Sign(code)).AsUInt16();
        words += value;
        odd += value >> 8;
    }

    /// <summary>Adds one block's integers, times the half step, to its sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSums(
        Vector512<ushort> words, Vector512<ushort> odd, int entries, float step, float* sums)
    {
        Vector512<short> bias = Vector512.Create((short)(127 * entries));
        Vector512<short> even = (words - (odd << 8)).AsInt16();
        Vector512<short> upper = odd.AsInt16();
        Vector512<float> steps = Vector512.Create(step);
        AddSums(even + even - bias, steps, sums);
        AddSums(upper + upper - bias, steps, sums + (Line / 2));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSums(Vector512<short> halves, Vector512<float> steps, float* sums)
    {
        Vector512<float> low = Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(halves.GetLower()));
        Vector512<float> high = Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(halves.GetUpper()));
        Vector512.Store(Avx512F.FusedMultiplyAdd(low, steps, Vector512.Load(sums)), sums);
        Vector512.Store(Avx512F.FusedMultiplyAdd(high, steps, Vector512.Load(sums + 16)), sums + 16);
    }
}
