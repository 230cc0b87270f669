using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Cpu;

internal static unsafe partial class Lookup512
{
    /// <summary>Four tokens, two blocks: sixteen sums stay in registers; codes and their signs serve four tokens,
    /// tables two blocks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddTile(in LookupStrip strip, int token, int block)
    {
        int entries = strip.Entries;
        nint stride = strip.Blocks * 2 * Line;
        byte* codes = strip.Codes + (block * 2 * Line);
        byte* table = strip.Table(token);
        nint second = (nint)(strip.Table(token + 1) - table);
        nint third = (nint)(strip.Table(token + 2) - table);
        nint fourth = (nint)(strip.Table(token + 3) - table);
        Vector512<ushort> w00 = default, w01 = default, w10 = default, w11 = default;
        Vector512<ushort> w20 = default, w21 = default, w30 = default, w31 = default;
        Vector512<ushort> o00 = default, o01 = default, o10 = default, o11 = default;
        Vector512<ushort> o20 = default, o21 = default, o30 = default, o31 = default;
        for (int pairs = entries / 2; pairs > 0; pairs--)
        {
            Vector512<byte> c0 = Vector512.Load(codes), d0 = Vector512.Load(codes + Line);
            Vector512<byte> c1 = Vector512.Load(codes + (2 * Line)), d1 = Vector512.Load(codes + (3 * Line));
            Vector512<byte> s0 = Sign(c0), t0 = Sign(d0), s1 = Sign(c1), t1 = Sign(d1);
            AddToken(table, c0, d0, c1, d1, s0, t0, s1, t1, ref w00, ref o00, ref w01, ref o01);
            AddToken(table + second, c0, d0, c1, d1, s0, t0, s1, t1, ref w10, ref o10, ref w11, ref o11);
            AddToken(table + third, c0, d0, c1, d1, s0, t0, s1, t1, ref w20, ref o20, ref w21, ref o21);
            AddToken(table + fourth, c0, d0, c1, d1, s0, t0, s1, t1, ref w30, ref o30, ref w31, ref o31);
            codes += stride;
            table += 2 * Table;
        }

        if ((entries & 1) != 0)
        {
            codes -= block * Line;
            AddSingles(codes, table, ref w00, ref o00, ref w01, ref o01);
            AddSingles(codes, table + second, ref w10, ref o10, ref w11, ref o11);
            AddSingles(codes, table + third, ref w20, ref o20, ref w21, ref o21);
            AddSingles(codes, table + fourth, ref w30, ref o30, ref w31, ref o31);
        }

        float* sums = strip.Sums + (token * strip.SumStride) + (block * Line);
        float step0 = strip.Step(token), step1 = strip.Step(token + 1);
        float step2 = strip.Step(token + 2), step3 = strip.Step(token + 3);
        AddSums(w00, o00, entries, step0, sums);
        AddSums(w01, o01, entries, step0, sums + Line);
        sums += strip.SumStride;
        AddSums(w10, o10, entries, step1, sums);
        AddSums(w11, o11, entries, step1, sums + Line);
        sums += strip.SumStride;
        AddSums(w20, o20, entries, step2, sums);
        AddSums(w21, o21, entries, step2, sums + Line);
        sums += strip.SumStride;
        AddSums(w30, o30, entries, step3, sums);
        AddSums(w31, o31, entries, step3, sums + Line);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddToken(
        byte* table, Vector512<byte> c0, Vector512<byte> d0, Vector512<byte> c1, Vector512<byte> d1,
        Vector512<byte> s0, Vector512<byte> t0, Vector512<byte> s1, Vector512<byte> t1,
        ref Vector512<ushort> w0, ref Vector512<ushort> o0, ref Vector512<ushort> w1, ref Vector512<ushort> o1)
    {
        Vector512<byte> a = Vector512.Load(table), b = Vector512.Load(table + Line);
        Vector512<byte> c = Vector512.Load(table + Table), d = Vector512.Load(table + Table + Line);
        Vector512<ushort> v0 = Pair(c0, d0, s0, t0, a, b, c, d);
        Vector512<ushort> v1 = Pair(c1, d1, s1, t1, a, b, c, d);
        w0 += v0;
        o0 += v0 >> 8;
        w1 += v1;
        o1 += v1 >> 8;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSingles(
        byte* codes, byte* table,
        ref Vector512<ushort> w0, ref Vector512<ushort> o0, ref Vector512<ushort> w1, ref Vector512<ushort> o1)
    {
        AddSingle(codes, table, ref w0, ref o0);
        AddSingle(codes + Line, table, ref w1, ref o1);
    }
}
