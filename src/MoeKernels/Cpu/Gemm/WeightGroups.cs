using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>How sixteen consecutive weights of a format become single-precision lanes, exactly.</summary>
internal unsafe interface IWeightGroups
{
    /// <summary>Bytes of one weight.</summary>
    static abstract int Bytes { get; }

    /// <summary>Reads and widens sixteen weights.</summary>
    static abstract T Load<T>(byte* source)
        where T : struct, IVec16<T>;
}

/// <summary>Single precision.</summary>
internal readonly unsafe struct F32Groups : IWeightGroups
{
    public static int Bytes => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<T>(byte* source)
        where T : struct, IVec16<T> => T.Load((float*)source);
}

/// <summary>The upper half of a single.</summary>
internal readonly unsafe struct BF16Groups : IWeightGroups
{
    public static int Bytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<T>(byte* source)
        where T : struct, IVec16<T> => T.LoadBF16((ushort*)source);
}

/// <summary>Half precision with subnormals, infinities and NaN.</summary>
internal readonly unsafe struct F16Groups : IWeightGroups
{
    public static int Bytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<T>(byte* source)
        where T : struct, IVec16<T>
    {
        T code = T.LoadUInt16((ushort*)source);
        T exponent = code & T.CreateBits(0x7C00);
        T magnitude = SmallFloat.Widen(
            code & T.CreateBits(0x7FFF), T.EqualBits(exponent, T.Zero), mantissaBits: 10, bias: 15);

        // Infinity and NaN: raise the exponent to its maximum.
        T special = T.EqualBits(exponent, T.CreateBits(0x7C00)) & T.CreateBits(112 << 23);
        return T.AddBits(magnitude, special) | T.ShiftLeft(code & T.CreateBits(0x8000), 16);
    }
}

/// <summary>e4m3 without its scale.</summary>
internal readonly unsafe struct F8Groups : IWeightGroups
{
    public static int Bytes => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<T>(byte* source)
        where T : struct, IVec16<T>
    {
        T code = T.LoadUInt8(source);
        T bits = code & T.CreateBits(0x7F);
        T subnormal = T.EqualBits(code & T.CreateBits(0x78), T.Zero);
        T magnitude = SmallFloat.Widen(bits, subnormal, mantissaBits: 3, bias: 7);
        T nan = T.EqualBits(bits, T.CreateBits(0x7F)) & T.CreateBits(0x7FC00000);
        return magnitude | nan | T.ShiftLeft(code & T.CreateBits(0x80), 24);
    }
}

/// <summary>e2m1 without its scale.</summary>
internal static class Fp4
{
    /// <summary>Widens 4-bit codes in the low bits of the lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Widen<T>(T code)
        where T : struct, IVec16<T>
    {
        T subnormal = T.EqualBits(code & T.CreateBits(6), T.Zero);
        T magnitude = SmallFloat.Widen(code & T.CreateBits(7), subnormal, mantissaBits: 1, bias: 1);
        return magnitude | T.ShiftLeft(code & T.CreateBits(8), 28);
    }
}

/// <summary>The exponent arithmetic that the short formats share.</summary>
internal static class SmallFloat
{
    /// <summary>Moves exponent and mantissa of a magnitude into place; subnormals become normal by an exact
    /// subtraction.</summary>
    /// <param name="magnitude">Exponent above <paramref name="mantissaBits"/> of mantissa, in the low bits.</param>
    /// <param name="subnormal">Ones where the exponent is 0.</param>
    /// <param name="mantissaBits">Bits of the mantissa.</param>
    /// <param name="bias">Exponent bias of the format.</param>
    /// <remarks>A multiplication by a power of two would do the same, but reads denormal operands, which some
    /// processors handle in microcode.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Widen<T>(T magnitude, T subnormal, int mantissaBits, int bias)
        where T : struct, IVec16<T>
    {
        T normal = T.AddBits(T.ShiftLeft(magnitude, 23 - mantissaBits), T.CreateBits((127 - bias) << 23));
        T raised = T.AddBits(normal, T.CreateBits(1 << 23)) - T.CreateBits((128 - bias) << 23);
        return T.Select(subnormal, raised, normal);
    }
}
