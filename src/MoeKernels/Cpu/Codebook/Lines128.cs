using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Cpu;

/// <summary>16 rows in a register of NEON, where a table is two lookups of 64 bytes, or SSE4.1, where it is eight of
/// 16.</summary>
internal readonly unsafe struct Lines128(Vector128<byte> value) : ILines<Lines128>
{
    private readonly Vector128<byte> _value = value;

    public static bool IsSupported => Sse41.IsSupported || AdvSimd.Arm64.IsSupported;

    public static int Bytes => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lines128 Load(byte* codes) => new(Vector128.Load(codes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lines128 Lookup(byte* table, Lines128 codes)
    {
        Vector128<byte> low = codes._value & Vector128.Create((byte)127);
        Vector128<byte> sign = Vector128.LessThan(codes._value.AsSByte(), Vector128<sbyte>.Zero).AsByte();
        Vector128<byte> found = AdvSimd.Arm64.IsSupported ? FindArm(table, low) : Find(table, low);
        return new(found ^ sign);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lines128 AddWords(Lines128 left, Lines128 right) =>
        new((left._value.AsUInt16() + right._value.AsUInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lines128 UpperBytes(Lines128 value) => new((value._value.AsUInt16() >> 8).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lines128 value, ushort* destination) =>
        Vector128.Store(value._value.AsUInt16(), destination);

    /// <summary>NEON gives 0 for an index of 64 or more, so each half answers only for its own codes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> FindArm(byte* table, Vector128<byte> low)
    {
        Vector128<byte> first = AdvSimd.Arm64.VectorTableLookup(Quarters(table), low);
        return first | AdvSimd.Arm64.VectorTableLookup(Quarters(table + 64), low - Vector128.Create((byte)64));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<byte>, Vector128<byte>, Vector128<byte>, Vector128<byte>) Quarters(byte* table) =>
        (Vector128.Load(table), Vector128.Load(table + 16), Vector128.Load(table + 32), Vector128.Load(table + 48));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Find(byte* table, Vector128<byte> low)
    {
        // Shifting bits 4, 5 and 6 to bit 7 makes them the blends' masks.
        Vector128<byte> bit4 = (low.AsUInt16() << 3).AsByte();
        Vector128<byte> bit5 = (low.AsUInt16() << 2).AsByte();
        Vector128<byte> bit6 = (low.AsUInt16() << 1).AsByte();
        Vector128<byte> first = Sse41.BlendVariable(Two(table, low, bit4), Two(table + 32, low, bit4), bit5);
        Vector128<byte> second = Sse41.BlendVariable(Two(table + 64, low, bit4), Two(table + 96, low, bit4), bit5);
        return Sse41.BlendVariable(first, second, bit6);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Two(byte* table, Vector128<byte> low, Vector128<byte> bit4) =>
        Sse41.BlendVariable(
            Ssse3.Shuffle(Vector128.Load(table), low), Ssse3.Shuffle(Vector128.Load(table + 16), low), bit4);
}
