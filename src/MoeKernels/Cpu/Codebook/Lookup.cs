using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Adds the table values that codes point to. Each body computes the integers of
/// <see cref="CodebookReference.Row"/>.</summary>
/// <remarks>
/// A negative code takes 255 - t instead of t: all bits inverted. Entries add up in 16 bits: whole words on one side,
/// their upper bytes on the other, which separates the rows of even and odd bytes.
/// </remarks>
internal static unsafe class Lookup
{
    private const int LineWords = CodebookShape.BlockRows / 2;

    /// <summary>Adds a strip's chunk to the sums with the instruction set in use.</summary>
    public static void Add(in LookupStrip strip)
    {
        switch (Simd.Level)
        {
            case SimdLevel.V512 when Lookup512.IsSupported:
                Lookup512.Add(strip);
                break;
            case >= SimdLevel.V256 when Lines256.IsSupported:
                Add<Lines256>(strip);
                break;
            case >= SimdLevel.V128 when Lines128.IsSupported:
                Add<Lines128>(strip);
                break;
            default:
                AddSoftware(strip);
                break;
        }
    }

    private static void Add<T>(in LookupStrip strip)
        where T : struct, ILines<T>
    {
        ushort* words = stackalloc ushort[LineWords];
        ushort* odd = stackalloc ushort[LineWords];
        for (int token = 0; token < strip.Tokens; token++)
        {
            byte* table = strip.Table(token);
            for (int block = 0; block < strip.Blocks; block++)
            {
                for (int half = 0; half < CodebookShape.BlockRows; half += T.Bytes)
                    AddLines<T>(strip, block, half, table, words + (half / 2), odd + (half / 2));
                AddSums(strip, token, block, words, odd);
            }
        }
    }

    /// <summary>All entries of a chunk for the rows of one register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddLines<T>(
        in LookupStrip strip, int block, int half, byte* table, ushort* words, ushort* odd)
        where T : struct, ILines<T>
    {
        int entries = strip.Entries;
        nint stride = strip.Blocks * 2 * CodebookShape.BlockRows;
        byte* codes = strip.Codes + (block * 2 * CodebookShape.BlockRows) + half;
        T sum = default, upper = default;
        for (int pairs = entries / 2; pairs > 0; pairs--)
        {
            T first = T.Lookup(table, T.Load(codes));
            T second = T.Lookup(table + CodebookShape.Vectors, T.Load(codes + CodebookShape.BlockRows));
            sum = T.AddWords(T.AddWords(sum, first), second);
            upper = T.AddWords(T.AddWords(upper, T.UpperBytes(first)), T.UpperBytes(second));
            codes += stride;
            table += 2 * CodebookShape.Vectors;
        }

        if ((entries & 1) != 0)
        {
            T last = T.Lookup(table, T.Load(codes - (block * CodebookShape.BlockRows)));
            sum = T.AddWords(sum, last);
            upper = T.AddWords(upper, T.UpperBytes(last));
        }

        T.Store(sum, words);
        T.Store(upper, odd);
    }

    private static void AddSoftware(in LookupStrip strip)
    {
        ushort* words = stackalloc ushort[LineWords];
        ushort* odd = stackalloc ushort[LineWords];
        for (int token = 0; token < strip.Tokens; token++)
        {
            for (int block = 0; block < strip.Blocks; block++)
            {
                new Span<ushort>(words, LineWords).Clear();
                new Span<ushort>(odd, LineWords).Clear();
                byte* table = strip.Table(token);
                for (int entry = 0; entry < strip.Entries; entry++, table += CodebookShape.Vectors)
                    AddLine(strip.Codes + LineOffset(strip, block, entry), table, words, odd);
                AddSums(strip, token, block, words, odd);
            }
        }
    }

    private static void AddLine(byte* codes, byte* table, ushort* words, ushort* odd)
    {
        for (int i = 0; i < LineWords; i++)
        {
            int even = Value(table, codes[2 * i]);
            int uneven = Value(table, codes[(2 * i) + 1]);
            words[i] += (ushort)(even + (uneven << 8));
            odd[i] += (ushort)uneven;
        }
    }

    private static int Value(byte* table, byte code) => table[code & 127] ^ (-(code >> 7) & 255);

    private static nint LineOffset(in LookupStrip strip, int block, int entry)
    {
        bool paired = (entry | 1) < strip.Entries;
        int line = paired ? ((entry & ~1) * strip.Blocks) + (2 * block) + (entry & 1) : (entry * strip.Blocks) + block;
        return line * CodebookShape.BlockRows;
    }

    /// <summary>Adds one block's integers, times the half step, to its sums.</summary>
    private static void AddSums(in LookupStrip strip, int token, int block, ushort* words, ushort* odd)
    {
        Vector128<float> step = Vector128.Create(strip.Step(token));
        Vector128<short> bias = Vector128.Create((short)(255 * strip.Entries));
        float* sums = strip.Sums + (token * strip.SumStride) + (block * CodebookShape.BlockRows);
        for (int i = 0; i < LineWords; i += 8)
        {
            Vector128<short> upper = Vector128.Load(odd + i).AsInt16();
            Vector128<short> even = Vector128.Load(words + i).AsInt16() - (upper << 8);
            AddSums(sums + i, even + even - bias, step);
            AddSums(sums + LineWords + i, upper + upper - bias, step);
        }
    }

    private static void AddSums(float* sums, Vector128<short> halves, Vector128<float> step)
    {
        (Vector128<int> low, Vector128<int> high) = Vector128.Widen(halves);
        Vector128.Store(
            Vector128.FusedMultiplyAdd(Vector128.ConvertToSingle(low), step, Vector128.Load(sums)), sums);
        Vector128.Store(
            Vector128.FusedMultiplyAdd(Vector128.ConvertToSingle(high), step, Vector128.Load(sums + 4)), sums + 4);
    }
}
