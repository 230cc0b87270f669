using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Cpu;

/// <summary>32 rows in an AVX2 register: a table is eight pieces of sixteen bytes, chosen by three bits.</summary>
internal readonly unsafe struct Lines256(Vector256<byte> value) : ILines<Lines256>
{
    private readonly Vector256<byte> _value = value;

    public static bool IsSupported => Avx2.IsSupported;

    public static int Bytes => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lines256 Load(byte* codes) => new(Vector256.Load(codes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lines256 Lookup(byte* table, Lines256 codes)
    {
        // Shifting bits 4, 5 and 6 to bit 7 makes them the blends' masks; what 16-bit shifts carry over stays below.
        Vector256<byte> low = codes._value & Vector256.Create((byte)127);
        Vector256<byte> bit4 = (codes._value.AsUInt16() << 3).AsByte();
        Vector256<byte> bit5 = (codes._value.AsUInt16() << 2).AsByte();
        Vector256<byte> bit6 = (codes._value.AsUInt16() << 1).AsByte();
        Vector256<byte> first = Avx2.BlendVariable(Two(table, low, bit4), Two(table + 32, low, bit4), bit5);
        Vector256<byte> second = Avx2.BlendVariable(Two(table + 64, low, bit4), Two(table + 96, low, bit4), bit5);
        Vector256<byte> sign = Avx2.CompareGreaterThan(Vector256<sbyte>.Zero, codes._value.AsSByte()).AsByte();
        return new(Avx2.BlendVariable(first, second, bit6) ^ sign);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lines256 AddWords(Lines256 left, Lines256 right) =>
        new((left._value.AsUInt16() + right._value.AsUInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lines256 UpperBytes(Lines256 value) => new((value._value.AsUInt16() >> 8).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lines256 value, ushort* destination) =>
        Vector256.Store(value._value.AsUInt16(), destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Two(byte* table, Vector256<byte> low, Vector256<byte> bit4) =>
        Avx2.BlendVariable(
            Avx2.Shuffle(Avx2.BroadcastVector128ToVector256(table), low),
            Avx2.Shuffle(Avx2.BroadcastVector128ToVector256(table + 16), low),
            bit4);
}
