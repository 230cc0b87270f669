using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Cpu;

/// <summary>Sixteen lanes in one 512-bit register (AVX-512).</summary>
internal readonly unsafe struct Vec512(Vector512<float> value) : IVec16<Vec512>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    private readonly Vector512<float> _value = value;

    public static bool IsWide => true;

    public static Vec512 Zero
    {
        [MethodImpl(Inline)]
        get => new(Vector512<float>.Zero);
    }

    private Vector512<int> Bits
    {
        [MethodImpl(Inline)]
        get => _value.AsInt32();
    }

    [MethodImpl(Inline)]
    public static Vec512 Create(float value) => new(Vector512.Create(value));

    [MethodImpl(Inline)]
    public static Vec512 CreateBits(int value) => new(Vector512.Create(value).AsSingle());

    [MethodImpl(Inline)]
    public static Vec512 Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(Inline)]
    public static Vec512 LoadBF16(ushort* source) => ShiftLeft(LoadUInt16(source), 16);

    [MethodImpl(Inline)]
    public static Vec512 LoadUInt16(ushort* source) =>
        new(Avx512F.ConvertToVector512Int32(Vector256.Load(source)).AsSingle());

    [MethodImpl(Inline)]
    public static Vec512 LoadUInt8(byte* source) =>
        new(Avx512F.ConvertToVector512Int32(Vector128.Load(source)).AsSingle());

    [MethodImpl(Inline)]
    public static Vec512 DecodeFp4(byte* source)
    {
        // Lane j of each half holds all eight nibbles of its half; shifting by 4 j brings nibble j down, and the table
        // look-up reads only the low four bits.
        Vector512<uint> nibbles = Vector512.Create(
            Vector256.Create(*(uint*)source), Vector256.Create(*(uint*)(source + 4)));
        Vector512<uint> shifts = Vector512.Create(0u, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
        Vector512<float> values = Vector512.Create(
            0f, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6);
        Vector512<int> index = Avx512F.ShiftRightLogicalVariable(nibbles, shifts).AsInt32();
        return new(Avx512F.PermuteVar16x32(values, index));
    }

    [MethodImpl(Inline)]
    public static void Store(Vec512 value, float* destination) => value._value.Store(destination);

    [MethodImpl(Inline)]
    public static Vec512 operator +(Vec512 left, Vec512 right) => new(left._value + right._value);

    [MethodImpl(Inline)]
    public static Vec512 operator -(Vec512 left, Vec512 right) => new(left._value - right._value);

    [MethodImpl(Inline)]
    public static Vec512 operator *(Vec512 left, Vec512 right) => new(left._value * right._value);

    [MethodImpl(Inline)]
    public static Vec512 operator /(Vec512 left, Vec512 right) => new(left._value / right._value);

    [MethodImpl(Inline)]
    public static Vec512 operator &(Vec512 left, Vec512 right) => new(left._value & right._value);

    [MethodImpl(Inline)]
    public static Vec512 operator |(Vec512 left, Vec512 right) => new(left._value | right._value);

    [MethodImpl(Inline)]
    public static Vec512 operator ^(Vec512 left, Vec512 right) => new(left._value ^ right._value);

    [MethodImpl(Inline)]
    public static Vec512 Fma(Vec512 a, Vec512 b, Vec512 c) =>
        new(Vector512.FusedMultiplyAdd(a._value, b._value, c._value));

    [MethodImpl(Inline)]
    public static Vec512 LessThan(Vec512 left, Vec512 right) => new(Vector512.LessThan(left._value, right._value));

    [MethodImpl(Inline)]
    public static Vec512 EqualBits(Vec512 left, Vec512 right) =>
        new(Vector512.Equals(left.Bits, right.Bits).AsSingle());

    [MethodImpl(Inline)]
    public static Vec512 Select(Vec512 mask, Vec512 yes, Vec512 no) =>
        new(Vector512.ConditionalSelect(mask._value, yes._value, no._value));

    [MethodImpl(Inline)]
    public static Vec512 AddBits(Vec512 left, Vec512 right) => new((left.Bits + right.Bits).AsSingle());

    [MethodImpl(Inline)]
    public static Vec512 ShiftLeft(Vec512 value, int count) => new((value.Bits << count).AsSingle());

    [MethodImpl(Inline)]
    public static Vec512 ShiftRight(Vec512 value, int count) => new((value.Bits >> count).AsSingle());

    [MethodImpl(Inline)]
    public static float Sum(Vec512 value)
    {
        Vector256<float> eight = value._value.GetLower() + value._value.GetUpper();
        return VecReduce.Sum(eight.GetLower() + eight.GetUpper());
    }

    [MethodImpl(Inline)]
    public static void Sum4(Vec512 a, Vec512 b, Vec512 c, Vec512 d, float* destination)
    {
        // Quarters of four lanes: ab = (a0+a2, a1+a3, b0+b2, b1+b3), then abcd = one quarter per operand.
        Vector512<float> ab = Add(a._value, b._value, 0b01_00_01_00, 0b11_10_11_10);
        Vector512<float> cd = Add(c._value, d._value, 0b01_00_01_00, 0b11_10_11_10);
        Vector512<float> abcd = Add(ab, cd, 0b10_00_10_00, 0b11_01_11_01);
        abcd += Avx512F.Permute4x32(abcd, 0b11_10_11_10);
        abcd += Avx512F.Permute4x32(abcd, 0b01_01_01_01);
        Vector512<int> firsts = Vector512.Create(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        Avx512F.PermuteVar16x32(abcd, firsts).GetLower().GetLower().Store(destination);
    }

    [MethodImpl(Inline)]
    private static Vector512<float> Add(
        Vector512<float> left,
        Vector512<float> right,
        [ConstantExpected] byte low,
        [ConstantExpected] byte high) =>
        Avx512F.Shuffle4x128(left, right, low) + Avx512F.Shuffle4x128(left, right, high);

    [MethodImpl(Inline)]
    public static float Largest(Vec512 value)
    {
        Vector256<float> eight = Vector256.Max(value._value.GetLower(), value._value.GetUpper());
        return VecReduce.Largest(Vector128.Max(eight.GetLower(), eight.GetUpper()));
    }
}
