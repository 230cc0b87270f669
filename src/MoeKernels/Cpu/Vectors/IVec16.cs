namespace MoeKernels.Cpu;

/// <summary>
/// Sixteen single-precision lanes, held in as many registers as the instruction set needs. Kernels are written once
/// over this type; every operation rounds alike in all implementations, so a kernel's bits do not depend on the width.
/// </summary>
/// <typeparam name="T">The implementing struct.</typeparam>
/// <remarks>Comparisons give lanes of all ones or all zeros. Integer operations act on the bits of the lanes.</remarks>
internal unsafe interface IVec16<T>
    where T : struct, IVec16<T>
{
    /// <summary>Whether registers are wide and many enough for tiles of 24 accumulators.</summary>
    static abstract bool IsWide { get; }

    /// <summary>All lanes +0.</summary>
    static abstract T Zero { get; }

    /// <summary>The value in every lane.</summary>
    static abstract T Create(float value);

    /// <summary>The integer in the bits of every lane.</summary>
    static abstract T CreateBits(int value);

    /// <summary>Sixteen consecutive floats, any alignment.</summary>
    static abstract T Load(float* source);

    /// <summary>Sixteen bf16 values, widened exactly.</summary>
    static abstract T LoadBF16(ushort* source);

    /// <summary>Sixteen 16-bit integers, zero-extended into the bits of the lanes.</summary>
    static abstract T LoadUInt16(ushort* source);

    /// <summary>Sixteen bytes, zero-extended into the bits of the lanes.</summary>
    static abstract T LoadUInt8(byte* source);

    /// <summary>Sixteen e2m1 values from eight bytes, low half first: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their
    /// negatives.</summary>
    static abstract T DecodeFp4(byte* source);

    /// <summary>Writes sixteen consecutive floats.</summary>
    static abstract void Store(T value, float* destination);

    static abstract T operator +(T left, T right);

    static abstract T operator -(T left, T right);

    static abstract T operator *(T left, T right);

    static abstract T operator /(T left, T right);

    static abstract T operator &(T left, T right);

    static abstract T operator |(T left, T right);

    static abstract T operator ^(T left, T right);

    /// <summary><c>a * b + c</c>, rounded once.</summary>
    static abstract T Fma(T a, T b, T c);

    /// <summary>Lanes of ones where <c>left &lt; right</c>; a NaN compares false.</summary>
    static abstract T LessThan(T left, T right);

    /// <summary>Lanes of ones where the bits are equal as integers.</summary>
    static abstract T EqualBits(T left, T right);

    /// <summary><paramref name="yes"/> where the mask's lane is all ones, <paramref name="no"/> where it is
    /// zero.</summary>
    static abstract T Select(T mask, T yes, T no);

    /// <summary>Integer sum of the bits, wrapping.</summary>
    static abstract T AddBits(T left, T right);

    /// <summary>Bits shifted left.</summary>
    static abstract T ShiftLeft(T value, int count);

    /// <summary>Bits shifted right, the sign copied.</summary>
    static abstract T ShiftRight(T value, int count);

    /// <summary>The canonical tree: <c>s[j] += s[j + 8]</c>, then <c>+ 4</c>, <c>+ 2</c>, <c>+ 1</c>.</summary>
    static abstract float Sum(T value);

    /// <summary>Writes the four sums of <see cref="Sum"/> to <paramref name="destination"/>.</summary>
    static abstract void Sum4(T a, T b, T c, T d, float* destination);

    /// <summary>The largest lane; NaN lanes count as anything.</summary>
    static abstract float Largest(T value);
}
