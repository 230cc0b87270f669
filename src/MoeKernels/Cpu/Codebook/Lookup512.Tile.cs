using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Cpu;

internal static unsafe partial class Lookup512
{
    /// <summary>Four tokens, two blocks: sixteen sums stay in registers; codes and their signs serve four tokens,
    /// tables two blocks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddTile(in LookupStrip strip, int token, int block, Vector512<byte> signs)
    {
        int entries = strip.Entries;
        byte* codes = strip.Codes + (block * 2 * Line);
        byte* table = strip.Table(token);
        nint second = (nint)(strip.Table(token + 1) - table);
        nint third = (nint)(strip.Table(token + 2) - table);
        nint fourth = (nint)(strip.Table(token + 3) - table);
        Vector512<ushort> w00 = default, w01 = default, w10 = default, w11 = default;
        Vector512<ushort> w20 = default, w21 = default, w30 = default, w31 = default;
        Vector512<ushort> o00 = default, o01 = default, o10 = default, o11 = default;
        Vector512<ushort> o20 = default, o21 = default, o30 = default, o31 = default;
        nint step = Line;
        for (int entry = 0; entry < entries; entry++)
        {
            // Only a last entry without a partner has the next block's line beside it.
            nint beside = (entry | 1) < entries ? 2 * Line : Line;
            if (beside == Line)
                codes -= block * Line;
            Vector512<byte> c0 = Vector512.Load(codes), c1 = Vector512.Load(codes + beside);
            Vector512<byte> s0 = Sign(c0, signs), s1 = Sign(c1, signs);
            AddTokens(table, table + second, c0, c1, s0, s1,
                ref w00, ref o00, ref w01, ref o01, ref w10, ref o10, ref w11, ref o11);
            AddTokens(table + third, table + fourth, c0, c1, s0, s1,
                ref w20, ref o20, ref w21, ref o21, ref w30, ref o30, ref w31, ref o31);
            codes += step;
            step = (strip.Blocks * 2 * Line) - step;
            table += Table;
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

    /// <summary>One entry of two blocks for two tokens.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTokens(
        byte* table, byte* nextTable, Vector512<byte> c0, Vector512<byte> c1, Vector512<byte> s0, Vector512<byte> s1,
        ref Vector512<ushort> w0, ref Vector512<ushort> o0, ref Vector512<ushort> w1, ref Vector512<ushort> o1,
        ref Vector512<ushort> w2, ref Vector512<ushort> o2, ref Vector512<ushort> w3, ref Vector512<ushort> o3)
    {
        Vector512<byte> low = Vector512.Load(table), high = Vector512.Load(table + Line);
        Vector512<byte> nextLow = Vector512.Load(nextTable), nextHigh = Vector512.Load(nextTable + Line);
        AddFour(low, high, nextLow, nextHigh, c0, c1, c0, c1, s0, s1, s0, s1,
            ref w0, ref o0, ref w1, ref o1, ref w2, ref o2, ref w3, ref o3);
    }
}
