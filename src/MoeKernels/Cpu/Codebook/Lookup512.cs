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

    /// <summary>Bit matrix whose rows all pick bit 7: 255 for the codes with that bit, 0 for the others.</summary>
    private const ulong SignMatrix = 0x8080_8080_8080_8080;

    public static bool IsSupported => Avx512Vbmi.IsSupported && Gfni.V512.IsSupported && Avx512BW.IsSupported;

    /// <summary>Adds a strip's chunk to the sums: four tokens and two blocks at a time where there are that many,
    /// four blocks of one token else.</summary>
    public static void Add(in LookupStrip strip)
    {
        // An argument stays in a register; a constant would be loaded again for every entry.
        Vector512<byte> signs = Vector512.Create(SignMatrix).AsByte();
        int token = 0;
        for (; token <= strip.Tokens - 4; token += 4)
        {
            int block = 0;
            for (; block <= strip.Blocks - 2; block += 2)
                AddTile(strip, token, block, signs);
            for (int t = token; block < strip.Blocks && t < token + 4; t++)
                AddBlock(strip, t, block, signs);
        }

        for (; token < strip.Tokens; token++)
        {
            if (strip.Blocks == CodebookShape.StripBlocks)
            {
                AddStrip(strip, token, signs);
                continue;
            }

            for (int block = 0; block < strip.Blocks; block++)
                AddBlock(strip, token, block, signs);
        }
    }

    /// <summary>One token, four blocks: they share the loads of the tables.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddStrip(in LookupStrip strip, int token, Vector512<byte> signs)
    {
        int entries = strip.Entries;
        byte* codes = strip.Codes;
        byte* table = strip.Table(token);
        Vector512<ushort> words0 = default, words1 = default, words2 = default, words3 = default;
        Vector512<ushort> odd0 = default, odd1 = default, odd2 = default, odd3 = default;
        for (int pairs = entries / 2; pairs > 0; pairs--)
        {
            AddLines(codes, 2 * Line, table, signs, ref words0, ref odd0, ref words1, ref odd1,
                ref words2, ref odd2, ref words3, ref odd3);
            AddLines(codes + Line, 2 * Line, table + Table, signs, ref words0, ref odd0, ref words1, ref odd1,
                ref words2, ref odd2, ref words3, ref odd3);
            codes += 8 * Line;
            table += 2 * Table;
        }

        if ((entries & 1) != 0)
        {
            AddLines(codes, Line, table, signs, ref words0, ref odd0, ref words1, ref odd1,
                ref words2, ref odd2, ref words3, ref odd3);
        }

        float* sums = strip.Sums + (token * strip.SumStride);
        float step = strip.Step(token);
        AddSums(words0, odd0, entries, step, sums);
        AddSums(words1, odd1, entries, step, sums + Line);
        AddSums(words2, odd2, entries, step, sums + (2 * Line));
        AddSums(words3, odd3, entries, step, sums + (3 * Line));
    }

    /// <summary>One token, one block of a strip of any width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddBlock(in LookupStrip strip, int token, int block, Vector512<byte> signs)
    {
        int entries = strip.Entries;
        byte* codes = strip.Codes + (block * 2 * Line);
        byte* table = strip.Table(token);
        nint stride = strip.Blocks * 2 * Line;
        Vector512<ushort> words = default, odd = default;
        for (int pairs = entries / 2; pairs > 0; pairs--)
        {
            AddLine(codes, table, signs, ref words, ref odd);
            AddLine(codes + Line, table + Table, signs, ref words, ref odd);
            codes += stride;
            table += 2 * Table;
        }

        if ((entries & 1) != 0)
            AddLine(codes - (block * Line), table, signs, ref words, ref odd);
        float* sums = strip.Sums + (token * strip.SumStride) + (block * Line);
        AddSums(words, odd, entries, strip.Step(token), sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddLine(
        byte* codes, byte* table, Vector512<byte> signs, ref Vector512<ushort> words, ref Vector512<ushort> odd)
    {
        Vector512<byte> code = Vector512.Load(codes);
        Vector512<byte> found = Avx512Vbmi.PermuteVar64x8x2(
            Vector512.Load(table), code, Vector512.Load(table + Line));
        Add((found ^ Sign(code, signs)).AsUInt16(), ref words, ref odd);
    }

    /// <summary>One entry of four blocks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddLines(
        byte* codes, nint stride, byte* table, Vector512<byte> signs,
        ref Vector512<ushort> words0, ref Vector512<ushort> odd0, ref Vector512<ushort> words1,
        ref Vector512<ushort> odd1, ref Vector512<ushort> words2, ref Vector512<ushort> odd2,
        ref Vector512<ushort> words3, ref Vector512<ushort> odd3)
    {
        // Alike instructions stand together: independent ones in a row fill the pipes better than one line after the
        // other.
        Vector512<byte> low = Vector512.Load(table), high = Vector512.Load(table + Line);
        Vector512<byte> c0 = Vector512.Load(codes), c1 = Vector512.Load(codes + stride);
        Vector512<byte> c2 = Vector512.Load(codes + (2 * stride)), c3 = Vector512.Load(codes + (3 * stride));
        Vector512<byte> s0 = Sign(c0, signs), s1 = Sign(c1, signs), s2 = Sign(c2, signs), s3 = Sign(c3, signs);
        AddFour(low, high, low, high, c0, c1, c2, c3, s0, s1, s2, s3, ref words0, ref odd0, ref words1, ref odd1,
            ref words2, ref odd2, ref words3, ref odd3);
    }

    /// <summary>Four lines, the first two in one table and the others in another one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFour(
        Vector512<byte> low, Vector512<byte> high, Vector512<byte> nextLow, Vector512<byte> nextHigh,
        Vector512<byte> c0, Vector512<byte> c1, Vector512<byte> c2, Vector512<byte> c3,
        Vector512<byte> s0, Vector512<byte> s1, Vector512<byte> s2, Vector512<byte> s3,
        ref Vector512<ushort> words0, ref Vector512<ushort> odd0, ref Vector512<ushort> words1,
        ref Vector512<ushort> odd1, ref Vector512<ushort> words2, ref Vector512<ushort> odd2,
        ref Vector512<ushort> words3, ref Vector512<ushort> odd3)
    {
        Vector512<byte> f0 = Avx512Vbmi.PermuteVar64x8x2(low, c0, high);
        Vector512<byte> f1 = Avx512Vbmi.PermuteVar64x8x2(low, c1, high);
        Vector512<byte> f2 = Avx512Vbmi.PermuteVar64x8x2(nextLow, c2, nextHigh);
        Vector512<byte> f3 = Avx512Vbmi.PermuteVar64x8x2(nextLow, c3, nextHigh);
        Vector512<ushort> v0 = (f0 ^ s0).AsUInt16(), v1 = (f1 ^ s1).AsUInt16();
        Vector512<ushort> v2 = (f2 ^ s2).AsUInt16(), v3 = (f3 ^ s3).AsUInt16();
        Add(v0, ref words0, ref odd0);
        Add(v1, ref words1, ref odd1);
        Add(v2, ref words2, ref odd2);
        Add(v3, ref words3, ref odd3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector512<ushort> values, ref Vector512<ushort> words, ref Vector512<ushort> odd)
    {
        words += values;
        odd += values >> 8;
    }

    /// <summary>255 for the codes with bit 7 set, 0 for the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Sign(Vector512<byte> codes, Vector512<byte> signs) =>
        Gfni.V512.GaloisFieldAffineTransform(codes, signs, 0);

    /// <summary>Adds one block's integers, times the half step, to its sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSums(
        Vector512<ushort> words, Vector512<ushort> odd, int entries, float step, float* sums)
    {
        Vector512<short> bias = Vector512.Create((short)(255 * entries));
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
