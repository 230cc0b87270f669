using System.Runtime.CompilerServices;

namespace MoeKernels;

/// <summary>Scalar exp, sigmoid, tanh and erf built from fused multiply-adds only, so that the vector kernels, which
/// evaluate the same polynomials lane by lane, return the same bits on every machine. The C library's do not.</summary>
/// <remarks>The constants are internal for those kernels. Accuracy: exp and erf stay within 2 ulp.</remarks>
internal static class DeterministicMath
{
    /// <summary>Above it exp is infinite.</summary>
    public const float ExpHigh = 89f;

    /// <summary>Below it exp is zero.</summary>
    public const float ExpLow = -104f;

    public const float Log2E = 1.44269504f;

    /// <summary>1.5 · 2²³: adding it rounds to the nearest integer, whose value then is the low bits of the sum.</summary>
    public const float RoundingShift = 12582912f;

    /// <summary>-ln 2 as a short head and a tail, so that n · head is exact.</summary>
    public const float MinusLn2Head = -0.693359375f;

    public const float MinusLn2Tail = 2.12194440e-4f;

    /// <summary>exp(r) = 1 + r + r² (E0 + E1 r + ...), |r| ≤ ln 2 / 2 (Cephes expf).</summary>
    public const float E0 = 5.0000001201e-1f;

    public const float E1 = 1.6666665459e-1f;

    public const float E2 = 4.1665795894e-2f;

    public const float E3 = 8.3334519073e-3f;

    public const float E4 = 1.3981999507e-3f;

    public const float E5 = 1.9875691500e-4f;

    /// <summary><c>eˣ</c>; 0 and ∞ outside the range of single precision, NaN for NaN.</summary>
    public static float Exp(float x)
    {
        // Ternaries, not Math.Min/Max: a NaN falls through both comparisons and stays one.
        x = x > ExpHigh ? ExpHigh : x;
        x = x < ExpLow ? ExpLow : x;
        float shifted = MathF.FusedMultiplyAdd(x, Log2E, RoundingShift);
        float n = shifted - RoundingShift;
        float r = MathF.FusedMultiplyAdd(n, MinusLn2Head, x);
        r = MathF.FusedMultiplyAdd(n, MinusLn2Tail, r);
        float p = MathF.FusedMultiplyAdd(E5, r, E4);
        p = MathF.FusedMultiplyAdd(p, r, E3);
        p = MathF.FusedMultiplyAdd(p, r, E2);
        p = MathF.FusedMultiplyAdd(p, r, E1);
        p = MathF.FusedMultiplyAdd(p, r, E0);
        p = MathF.FusedMultiplyAdd(p, r * r, r) + 1f;

        // Two factors, since 2ⁿ alone leaves the exponent's range at both ends.
        int exponent = BitConverter.SingleToInt32Bits(shifted) - BitConverter.SingleToInt32Bits(RoundingShift);
        int half = exponent >> 1;
        return p * PowerOfTwo(half) * PowerOfTwo(exponent - half);
    }

    /// <summary><c>1 / (1 + e⁻ˣ)</c>.</summary>
    public static float Sigmoid(float x) => 1f / (1f + Exp(-x));

    /// <summary><c>1 - 2 / (1 + e²ˣ)</c>; absolute error below 2e-7.</summary>
    public static float Tanh(float x) => 1f - (2f / (1f + Exp(2f * x)));

    /// <summary>The error function: a polynomial below 0.927734375, <c>1 - exp(polynomial)</c> above.</summary>
    public static float Erf(float x)
    {
        float t = MathF.Abs(x);
        float s = x * x;
        float inner = MathF.FusedMultiplyAdd(-5.96761703e-4f, s, 4.99119423e-3f);
        inner = MathF.FusedMultiplyAdd(inner, s, -2.67681349e-2f);
        inner = MathF.FusedMultiplyAdd(inner, s, 1.12819925e-1f);
        inner = MathF.FusedMultiplyAdd(inner, s, -3.76125336e-1f);
        inner = MathF.FusedMultiplyAdd(inner, s, 1.28379166e-1f);
        inner = MathF.FusedMultiplyAdd(inner, x, x);
        if (t <= 0.927734375f)
            return inner;

        float outer = MathF.FusedMultiplyAdd(-1.72853470e-5f, t, 3.83197126e-4f);
        float odd = MathF.FusedMultiplyAdd(-3.88396438e-3f, t, 2.42546219e-2f);
        outer = MathF.FusedMultiplyAdd(outer, s, odd);
        outer = MathF.FusedMultiplyAdd(outer, t, -1.06777877e-1f);
        outer = MathF.FusedMultiplyAdd(outer, t, -6.34846687e-1f);
        outer = MathF.FusedMultiplyAdd(outer, t, -1.28717512e-1f);
        outer = MathF.FusedMultiplyAdd(outer, t, -t);
        return MathF.CopySign(1f - Exp(outer), x);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float PowerOfTwo(int exponent) => BitConverter.Int32BitsToSingle((exponent + 127) << 23);
}
