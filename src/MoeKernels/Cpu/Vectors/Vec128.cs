using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Cpu;

/// <summary>Sixteen lanes in four 128-bit registers (SSE, AdvSimd): lanes 0-3, 4-7, 8-11 and 12-15.</summary>
internal readonly unsafe struct Vec128(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d)
    : IVec16<Vec128>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    private readonly Vector128<float> _a = a;
    private readonly Vector128<float> _b = b;
    private readonly Vector128<float> _c = c;
    private readonly Vector128<float> _d = d;

    public static bool IsWide => false;

    public static Vec128 Zero
    {
        [MethodImpl(Inline)]
        get => Create(0f);
    }

    [MethodImpl(Inline)]
    public static Vec128 Create(float value) => Repeat(Vector128.Create(value));

    [MethodImpl(Inline)]
    public static Vec128 CreateBits(int value) => Repeat(Vector128.Create(value).AsSingle());

    [MethodImpl(Inline)]
    public static Vec128 Load(float* source) => new(
        Vector128.Load(source), Vector128.Load(source + 4),
        Vector128.Load(source + 8), Vector128.Load(source + 12));

    [MethodImpl(Inline)]
    public static Vec128 LoadBF16(ushort* source) => ShiftLeft(LoadUInt16(source), 16);

    [MethodImpl(Inline)]
    public static Vec128 LoadUInt16(ushort* source) => Widen(Vector128.Load(source), Vector128.Load(source + 8));

    [MethodImpl(Inline)]
    public static Vec128 LoadUInt8(byte* source) => WidenBytes(Vector128.Load(source));

    [MethodImpl(Inline)]
    public static Vec128 DecodeFp4(byte* source) => Fp4.Widen(LoadUInt4(source));

    [MethodImpl(Inline)]
    private static Vec128 LoadUInt4(byte* source)
    {
        // Each byte becomes a 16-bit lane with the low half below the high half: bytes in the order of the elements.
        Vector128<ushort> pairs = Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)source).AsByte());
        return WidenBytes(((pairs & Vector128.Create((ushort)15)) | ((pairs >> 4) << 8)).AsByte());
    }

    [MethodImpl(Inline)]
    public static void Store(Vec128 value, float* destination)
    {
        value._a.Store(destination);
        value._b.Store(destination + 4);
        value._c.Store(destination + 8);
        value._d.Store(destination + 12);
    }

    [MethodImpl(Inline)]
    public static Vec128 operator +(Vec128 left, Vec128 right) =>
        new(left._a + right._a, left._b + right._b, left._c + right._c, left._d + right._d);

    [MethodImpl(Inline)]
    public static Vec128 operator -(Vec128 left, Vec128 right) =>
        new(left._a - right._a, left._b - right._b, left._c - right._c, left._d - right._d);

    [MethodImpl(Inline)]
    public static Vec128 operator *(Vec128 left, Vec128 right) =>
        new(left._a * right._a, left._b * right._b, left._c * right._c, left._d * right._d);

    [MethodImpl(Inline)]
    public static Vec128 operator /(Vec128 left, Vec128 right) =>
        new(left._a / right._a, left._b / right._b, left._c / right._c, left._d / right._d);

    [MethodImpl(Inline)]
    public static Vec128 operator &(Vec128 left, Vec128 right) =>
        new(left._a & right._a, left._b & right._b, left._c & right._c, left._d & right._d);

    [MethodImpl(Inline)]
    public static Vec128 operator |(Vec128 left, Vec128 right) =>
        new(left._a | right._a, left._b | right._b, left._c | right._c, left._d | right._d);

    [MethodImpl(Inline)]
    public static Vec128 operator ^(Vec128 left, Vec128 right) =>
        new(left._a ^ right._a, left._b ^ right._b, left._c ^ right._c, left._d ^ right._d);

    [MethodImpl(Inline)]
    public static Vec128 Fma(Vec128 a, Vec128 b, Vec128 c) => new(
        Vector128.FusedMultiplyAdd(a._a, b._a, c._a), Vector128.FusedMultiplyAdd(a._b, b._b, c._b),
        Vector128.FusedMultiplyAdd(a._c, b._c, c._c), Vector128.FusedMultiplyAdd(a._d, b._d, c._d));

    [MethodImpl(Inline)]
    public static Vec128 LessThan(Vec128 left, Vec128 right) => new(
        Vector128.LessThan(left._a, right._a), Vector128.LessThan(left._b, right._b),
        Vector128.LessThan(left._c, right._c), Vector128.LessThan(left._d, right._d));

    [MethodImpl(Inline)]
    public static Vec128 EqualBits(Vec128 left, Vec128 right) => new(
        EqualBits(left._a, right._a), EqualBits(left._b, right._b),
        EqualBits(left._c, right._c), EqualBits(left._d, right._d));

    [MethodImpl(Inline)]
    public static Vec128 Select(Vec128 mask, Vec128 yes, Vec128 no) => new(
        Vector128.ConditionalSelect(mask._a, yes._a, no._a), Vector128.ConditionalSelect(mask._b, yes._b, no._b),
        Vector128.ConditionalSelect(mask._c, yes._c, no._c), Vector128.ConditionalSelect(mask._d, yes._d, no._d));

    [MethodImpl(Inline)]
    public static Vec128 AddBits(Vec128 left, Vec128 right) => new(
        AddBits(left._a, right._a), AddBits(left._b, right._b),
        AddBits(left._c, right._c), AddBits(left._d, right._d));

    [MethodImpl(Inline)]
    public static Vec128 ShiftLeft(Vec128 value, int count) => new(
        ShiftLeft(value._a, count), ShiftLeft(value._b, count),
        ShiftLeft(value._c, count), ShiftLeft(value._d, count));

    [MethodImpl(Inline)]
    public static Vec128 ShiftRight(Vec128 value, int count) => new(
        ShiftRight(value._a, count), ShiftRight(value._b, count),
        ShiftRight(value._c, count), ShiftRight(value._d, count));

    [MethodImpl(Inline)]
    public static float Sum(Vec128 value) => VecReduce.Sum(Four(value));

    [MethodImpl(Inline)]
    public static void Sum4(Vec128 a, Vec128 b, Vec128 c, Vec128 d, float* destination) =>
        VecReduce.Sum4(Four(a), Four(b), Four(c), Four(d)).Store(destination);

    [MethodImpl(Inline)]
    private static Vector128<float> Four(Vec128 value) => (value._a + value._c) + (value._b + value._d);

    [MethodImpl(Inline)]
    public static float Largest(Vec128 value) => VecReduce.Largest(
        Vector128.Max(Vector128.Max(value._a, value._b), Vector128.Max(value._c, value._d)));

    [MethodImpl(Inline)]
    private static Vec128 WidenBytes(Vector128<byte> value) =>
        Widen(Vector128.WidenLower(value), Vector128.WidenUpper(value));

    [MethodImpl(Inline)]
    private static Vec128 Widen(Vector128<ushort> low, Vector128<ushort> high) => new(
        Vector128.WidenLower(low).AsSingle(), Vector128.WidenUpper(low).AsSingle(),
        Vector128.WidenLower(high).AsSingle(), Vector128.WidenUpper(high).AsSingle());

    [MethodImpl(Inline)]
    private static Vec128 Repeat(Vector128<float> value) => new(value, value, value, value);

    [MethodImpl(Inline)]
    private static Vector128<float> EqualBits(Vector128<float> left, Vector128<float> right) =>
        Vector128.Equals(left.AsInt32(), right.AsInt32()).AsSingle();

    [MethodImpl(Inline)]
    private static Vector128<float> AddBits(Vector128<float> left, Vector128<float> right) =>
        (left.AsInt32() + right.AsInt32()).AsSingle();

    [MethodImpl(Inline)]
    private static Vector128<float> ShiftLeft(Vector128<float> value, int count) =>
        (value.AsInt32() << count).AsSingle();

    [MethodImpl(Inline)]
    private static Vector128<float> ShiftRight(Vector128<float> value, int count) =>
        (value.AsInt32() >> count).AsSingle();
}
