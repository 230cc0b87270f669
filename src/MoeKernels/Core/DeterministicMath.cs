using System.Runtime.CompilerServices;

namespace MoeKernels;

/// <summary>Scalar transcendental functions built from exactly rounded operations only: the definition of what the
/// vector kernels compute lane by lane, to the last bit, on every machine. The C library's functions differ between
/// systems.</summary>
/// <remarks>Within 2 ulp of the exact value, gelu and softplus within 4; the tests of the vector kernels hold the
/// bounds.</remarks>
internal static class DeterministicMath
{
    /// <summary>Above it exp is infinite.</summary>
    public const float ExpHigh = 89f;

    /// <summary>Below it exp is zero.</summary>
    public const float ExpLow = -104f;

    public const float Log2E = 1.44269504f;

    /// <summary>1.5 · 2²³: adding it rounds to the nearest integer, whose value then is the low bits of the
    /// sum.</summary>
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

    /// <summary><c>√(1/2)</c>.</summary>
    public const float InverseSquareRootOfTwo = 0.707106781f;

    /// <summary><c>2 √(2/π)</c>.</summary>
    public const float GeluTwiceSlope = 1.59576912f;

    /// <summary>Factor of x³ in the tanh form of gelu.</summary>
    public const float GeluCubic = 0.044715f;

    /// <summary>From here on Φ(-x) is 0 in single precision.</summary>
    public const float GeluFar = 15f;

    /// <summary>Below it tanh is an odd polynomial.</summary>
    public const float TanhNear = 0.625f;

    /// <summary><c>(tanh(x) / x - 1) / x²</c> in x², highest power first.</summary>
    public static ReadOnlySpan<float> TanhCoefficients =>
    [
        0.00229274482f, -0.00834394552f, 0.0217689187f, -0.0539592596f, 0.133333036f, -0.333333332f,
    ];

    /// <summary><c>(2 atanh(s) / s - 2) / s²</c> in s², highest power first.</summary>
    public static ReadOnlySpan<float> AtanhCoefficients =>
        [0.232243292f, 0.217065758f, 0.28592358f, 0.399997063f, 0.666666673f];

    /// <summary><c>(1 + 2z) exp(z²) erfc(z)</c> in <c>(z - 2) / (z + 2)</c>, highest power first.</summary>
    public static ReadOnlySpan<float> ErfcxCoefficients =>
    [
        8.47731183e-05f, 0.000179629601f, -0.000401999675f, -0.00143214548f, 0.00125011985f, 0.00871355954f,
        -0.00802953634f, -0.054218563f, 0.164050844f, -0.166030477f, -0.0927638135f, 1.27697838f,
    ];

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

    /// <summary><c>x σ(x)</c> with one division: <c>x / (1 + e⁻ˣ)</c>.</summary>
    public static float Silu(float x) => x / (1f + Exp(-x));

    /// <summary>An odd polynomial below 0.625, else <c>1 - 2 / (1 + e²ˣ)</c> with the sign of x.</summary>
    public static float Tanh(float x)
    {
        float magnitude = MathF.Abs(x);
        if (magnitude < TanhNear)
        {
            float u = x * x;
            return MathF.FusedMultiplyAdd(Polynomial(TanhCoefficients, u) * u, x, x);
        }

        return MathF.CopySign(1f - (2f / (Exp(magnitude + magnitude) + 1f)), x);
    }

    /// <summary><c>log(1 + eˣ) = max(x, 0) + log1p(e⁻|x|)</c>, the logarithm as <c>2 atanh(s), s = y / (2 +
    /// y)</c>.</summary>
    public static float Softplus(float x)
    {
        float y = Exp(-MathF.Abs(x));
        float s = y / (2f + y);
        float u = s * s;
        float log = MathF.FusedMultiplyAdd(Polynomial(AtanhCoefficients, u) * u, s, s + s);
        return (x < 0f ? 0f : x) + log;
    }

    /// <summary><c>x Φ(x)</c>, accurate in the negative tail: <c>Φ(-|x|) = exp(-z²) erfcx(z) / 2</c>, <c>z = |x| /
    /// √2</c>.</summary>
    public static float Gelu(float x)
    {
        float magnitude = MathF.Abs(x);
        magnitude = magnitude > GeluFar ? GeluFar : magnitude;
        float z = magnitude * InverseSquareRootOfTwo;
        float p = Polynomial(ErfcxCoefficients, (z - 2f) / (z + 2f));

        // exp(-x²/2), corrected by what rounding x² lost.
        float square = magnitude * magnitude;
        float lost = MathF.FusedMultiplyAdd(magnitude, magnitude, -square);
        float gauss = Exp(square * -0.5f);
        gauss = MathF.FusedMultiplyAdd(gauss, lost * -0.5f, gauss);
        float tail = 0.5f * (gauss * (p / MathF.FusedMultiplyAdd(2f, z, 1f)));
        return x * (x < 0f ? tail : 1f - tail);
    }

    /// <summary><c>0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))</c>, computed as <c>x σ(2 √(2/π) (x + 0.044715
    /// x³))</c>.</summary>
    public static float GeluTanh(float x)
    {
        float inner = MathF.FusedMultiplyAdd(x * x * GeluCubic, x, x);
        return x / (1f + Exp(inner * -GeluTwiceSlope));
    }

    private static float Polynomial(ReadOnlySpan<float> coefficients, float x)
    {
        float p = coefficients[0];
        foreach (float coefficient in coefficients[1..])
            p = MathF.FusedMultiplyAdd(p, x, coefficient);
        return p;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float PowerOfTwo(int exponent) => BitConverter.Int32BitsToSingle((exponent + 127) << 23);
}
