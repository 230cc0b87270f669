using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Cpu;

/// <summary>Sixteen lanes in two 256-bit registers (AVX2): lanes 0-7 and 8-15.</summary>
internal readonly unsafe struct Vec256(Vector256<float> a, Vector256<float> b) : IVec16<Vec256>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    private readonly Vector256<float> _a = a;
    private readonly Vector256<float> _b = b;

    public static bool IsWide => false;

    public static Vec256 Zero
    {
        [MethodImpl(Inline)]
        get => Create(0f);
    }

    [MethodImpl(Inline)]
    public static Vec256 Create(float value) => Repeat(Vector256.Create(value));

    [MethodImpl(Inline)]
    public static Vec256 CreateBits(int value) => Repeat(Vector256.Create(value).AsSingle());

    [MethodImpl(Inline)]
    public static Vec256 Load(float* source) => new(Vector256.Load(source), Vector256.Load(source + 8));

    [MethodImpl(Inline)]
    public static Vec256 LoadBF16(ushort* source) => ShiftLeft(LoadUInt16(source), 16);

    [MethodImpl(Inline)]
    public static Vec256 LoadUInt16(ushort* source) => new(
        Avx2.ConvertToVector256Int32(source).AsSingle(), Avx2.ConvertToVector256Int32(source + 8).AsSingle());

    [MethodImpl(Inline)]
    public static Vec256 LoadUInt8(byte* source) => new(
        Avx2.ConvertToVector256Int32(source).AsSingle(), Avx2.ConvertToVector256Int32(source + 8).AsSingle());

    [MethodImpl(Inline)]
    public static Vec256 DecodeFp4(byte* source) => Fp4.Widen(LoadUInt4(source));

    [MethodImpl(Inline)]
    private static Vec256 LoadUInt4(byte* source)
    {
        // Every lane holds all eight nibbles of its half; shifting by 4 j brings nibble j down.
        Vector256<uint> shifts = Vector256.Create(0u, 4, 8, 12, 16, 20, 24, 28);
        Vector256<uint> low = Avx2.ShiftRightLogicalVariable(Vector256.Create(*(uint*)source), shifts);
        Vector256<uint> high = Avx2.ShiftRightLogicalVariable(Vector256.Create(*(uint*)(source + 4)), shifts);
        Vector256<uint> mask = Vector256.Create(15u);
        return new((low & mask).AsSingle(), (high & mask).AsSingle());
    }

    [MethodImpl(Inline)]
    public static void Store(Vec256 value, float* destination)
    {
        value._a.Store(destination);
        value._b.Store(destination + 8);
    }

    [MethodImpl(Inline)]
    public static Vec256 operator +(Vec256 left, Vec256 right) => new(left._a + right._a, left._b + right._b);

    [MethodImpl(Inline)]
    public static Vec256 operator -(Vec256 left, Vec256 right) => new(left._a - right._a, left._b - right._b);

    [MethodImpl(Inline)]
    public static Vec256 operator *(Vec256 left, Vec256 right) => new(left._a * right._a, left._b * right._b);

    [MethodImpl(Inline)]
    public static Vec256 operator /(Vec256 left, Vec256 right) => new(left._a / right._a, left._b / right._b);

    [MethodImpl(Inline)]
    public static Vec256 operator &(Vec256 left, Vec256 right) => new(left._a & right._a, left._b & right._b);

    [MethodImpl(Inline)]
    public static Vec256 operator |(Vec256 left, Vec256 right) => new(left._a | right._a, left._b | right._b);

    [MethodImpl(Inline)]
    public static Vec256 operator ^(Vec256 left, Vec256 right) => new(left._a ^ right._a, left._b ^ right._b);

    [MethodImpl(Inline)]
    public static Vec256 Fma(Vec256 a, Vec256 b, Vec256 c) =>
        new(Vector256.FusedMultiplyAdd(a._a, b._a, c._a), Vector256.FusedMultiplyAdd(a._b, b._b, c._b));

    [MethodImpl(Inline)]
    public static Vec256 LessThan(Vec256 left, Vec256 right) =>
        new(Vector256.LessThan(left._a, right._a), Vector256.LessThan(left._b, right._b));

    [MethodImpl(Inline)]
    public static Vec256 EqualBits(Vec256 left, Vec256 right) =>
        new(EqualBits(left._a, right._a), EqualBits(left._b, right._b));

    [MethodImpl(Inline)]
    public static Vec256 Select(Vec256 mask, Vec256 yes, Vec256 no) =>
        new(Vector256.ConditionalSelect(mask._a, yes._a, no._a), Vector256.ConditionalSelect(mask._b, yes._b, no._b));

    [MethodImpl(Inline)]
    public static Vec256 AddBits(Vec256 left, Vec256 right) =>
        new(AddBits(left._a, right._a), AddBits(left._b, right._b));

    [MethodImpl(Inline)]
    public static Vec256 ShiftLeft(Vec256 value, int count) =>
        new(ShiftLeft(value._a, count), ShiftLeft(value._b, count));

    [MethodImpl(Inline)]
    public static Vec256 ShiftRight(Vec256 value, int count) =>
        new(ShiftRight(value._a, count), ShiftRight(value._b, count));

    [MethodImpl(Inline)]
    public static float Sum(Vec256 value)
    {
        Vector256<float> eight = value._a + value._b;
        return VecReduce.Sum(eight.GetLower() + eight.GetUpper());
    }

    [MethodImpl(Inline)]
    public static void Sum4(Vec256 a, Vec256 b, Vec256 c, Vec256 d, float* destination) =>
        VecReduce.Sum4(Four(a), Four(b), Four(c), Four(d)).Store(destination);

    [MethodImpl(Inline)]
    private static Vector128<float> Four(Vec256 value)
    {
        Vector256<float> eight = value._a + value._b;
        return eight.GetLower() + eight.GetUpper();
    }

    [MethodImpl(Inline)]
    public static float Largest(Vec256 value)
    {
        Vector256<float> eight = Vector256.Max(value._a, value._b);
        return VecReduce.Largest(Vector128.Max(eight.GetLower(), eight.GetUpper()));
    }

    [MethodImpl(Inline)]
    private static Vec256 Repeat(Vector256<float> value) => new(value, value);

    [MethodImpl(Inline)]
    private static Vector256<float> EqualBits(Vector256<float> left, Vector256<float> right) =>
        Vector256.Equals(left.AsInt32(), right.AsInt32()).AsSingle();

    [MethodImpl(Inline)]
    private static Vector256<float> AddBits(Vector256<float> left, Vector256<float> right) =>
        (left.AsInt32() + right.AsInt32()).AsSingle();

    [MethodImpl(Inline)]
    private static Vector256<float> ShiftLeft(Vector256<float> value, int count) =>
        (value.AsInt32() << count).AsSingle();

    [MethodImpl(Inline)]
    private static Vector256<float> ShiftRight(Vector256<float> value, int count) =>
        (value.AsInt32() >> count).AsSingle();
}
