using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>Sixteen lanes in memory, one scalar operation each: for processors without usable vector
/// registers.</summary>
internal unsafe struct VecSoftware : IVec16<VecSoftware>
{
    private Lanes _lanes;

    public static bool IsWide => false;

    public static VecSoftware Zero => default;

    public static VecSoftware Create(float value)
    {
        VecSoftware result = default;
        for (int i = 0; i < 16; i++)
            result._lanes[i] = value;
        return result;
    }

    public static VecSoftware CreateBits(int value) => Create(BitConverter.Int32BitsToSingle(value));

    public static VecSoftware Load(float* source)
    {
        VecSoftware result = default;
        for (int i = 0; i < 16; i++)
            result._lanes[i] = source[i];
        return result;
    }

    public static VecSoftware LoadBF16(ushort* source) => ShiftLeft(LoadUInt16(source), 16);

    public static VecSoftware LoadUInt16(ushort* source)
    {
        VecSoftware result = default;
        for (int i = 0; i < 16; i++)
            result.SetBits(i, source[i]);
        return result;
    }

    public static VecSoftware LoadUInt8(byte* source)
    {
        VecSoftware result = default;
        for (int i = 0; i < 16; i++)
            result.SetBits(i, source[i]);
        return result;
    }

    public static VecSoftware DecodeFp4(byte* source) => Fp4.Widen(LoadUInt4(source));

    private static VecSoftware LoadUInt4(byte* source)
    {
        VecSoftware result = default;
        for (int i = 0; i < 16; i++)
            result.SetBits(i, (source[i >> 1] >> (4 * (i & 1))) & 15);
        return result;
    }

    public static void Store(VecSoftware value, float* destination)
    {
        for (int i = 0; i < 16; i++)
            destination[i] = value._lanes[i];
    }

    public static VecSoftware operator +(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left._lanes[i] += right._lanes[i];
        return left;
    }

    public static VecSoftware operator -(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left._lanes[i] -= right._lanes[i];
        return left;
    }

    public static VecSoftware operator *(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left._lanes[i] *= right._lanes[i];
        return left;
    }

    public static VecSoftware operator /(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left._lanes[i] /= right._lanes[i];
        return left;
    }

    public static VecSoftware operator &(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left.SetBits(i, left.Bits(i) & right.Bits(i));
        return left;
    }

    public static VecSoftware operator |(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left.SetBits(i, left.Bits(i) | right.Bits(i));
        return left;
    }

    public static VecSoftware operator ^(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left.SetBits(i, left.Bits(i) ^ right.Bits(i));
        return left;
    }

    public static VecSoftware Fma(VecSoftware a, VecSoftware b, VecSoftware c)
    {
        for (int i = 0; i < 16; i++)
            c._lanes[i] = MathF.FusedMultiplyAdd(a._lanes[i], b._lanes[i], c._lanes[i]);
        return c;
    }

    public static VecSoftware LessThan(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left.SetBits(i, left._lanes[i] < right._lanes[i] ? -1 : 0);
        return left;
    }

    public static VecSoftware EqualBits(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left.SetBits(i, left.Bits(i) == right.Bits(i) ? -1 : 0);
        return left;
    }

    public static VecSoftware Select(VecSoftware mask, VecSoftware yes, VecSoftware no)
    {
        for (int i = 0; i < 16; i++)
            no.SetBits(i, (mask.Bits(i) & yes.Bits(i)) | (~mask.Bits(i) & no.Bits(i)));
        return no;
    }

    public static VecSoftware AddBits(VecSoftware left, VecSoftware right)
    {
        for (int i = 0; i < 16; i++)
            left.SetBits(i, unchecked(left.Bits(i) + right.Bits(i)));
        return left;
    }

    public static VecSoftware ShiftLeft(VecSoftware value, int count)
    {
        for (int i = 0; i < 16; i++)
            value.SetBits(i, value.Bits(i) << count);
        return value;
    }

    public static VecSoftware ShiftRight(VecSoftware value, int count)
    {
        for (int i = 0; i < 16; i++)
            value.SetBits(i, value.Bits(i) >> count);
        return value;
    }

    public static float Sum(VecSoftware value)
    {
        for (int width = 8; width > 0; width >>= 1)
        {
            for (int j = 0; j < width; j++)
                value._lanes[j] += value._lanes[j + width];
        }

        return value._lanes[0];
    }

    public static void Sum4(VecSoftware a, VecSoftware b, VecSoftware c, VecSoftware d, float* destination)
    {
        destination[0] = Sum(a);
        destination[1] = Sum(b);
        destination[2] = Sum(c);
        destination[3] = Sum(d);
    }

    public static float Largest(VecSoftware value)
    {
        float largest = value._lanes[0];
        for (int i = 1; i < 16; i++)
            largest = MathF.Max(largest, value._lanes[i]);
        return largest;
    }

    private readonly int Bits(int lane) => BitConverter.SingleToInt32Bits(_lanes[lane]);

    private void SetBits(int lane, int bits) => _lanes[lane] = BitConverter.Int32BitsToSingle(bits);

    [InlineArray(16)]
    private struct Lanes
    {
        private float _first;
    }
}
