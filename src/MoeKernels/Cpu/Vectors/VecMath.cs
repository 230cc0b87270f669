using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>The functions of <see cref="DeterministicMath"/> in sixteen lanes: the same operations in the same order,
/// hence the same bits at every level.</summary>
internal static class VecMath
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>The smaller value; NaN in <paramref name="value"/> stays.</summary>
    [MethodImpl(Inline)]
    public static T Min<T>(T value, T limit)
        where T : struct, IVec16<T> => T.Select(T.LessThan(limit, value), limit, value);

    /// <summary>The larger value; NaN in <paramref name="value"/> stays.</summary>
    [MethodImpl(Inline)]
    public static T Max<T>(T value, T limit)
        where T : struct, IVec16<T> => T.Select(T.LessThan(value, limit), limit, value);

    /// <summary><c>|x|</c>.</summary>
    [MethodImpl(Inline)]
    public static T Abs<T>(T x)
        where T : struct, IVec16<T> => x & T.CreateBits(int.MaxValue);

    /// <summary><see cref="DeterministicMath.Exp"/>.</summary>
    [MethodImpl(Inline)]
    public static T Exp<T>(T x)
        where T : struct, IVec16<T>
    {
        x = Max(Min(x, T.Create(DeterministicMath.ExpHigh)), T.Create(DeterministicMath.ExpLow));
        T shift = T.Create(DeterministicMath.RoundingShift);
        T shifted = T.Fma(x, T.Create(DeterministicMath.Log2E), shift);
        T n = shifted - shift;
        T r = T.Fma(n, T.Create(DeterministicMath.MinusLn2Head), x);
        r = T.Fma(n, T.Create(DeterministicMath.MinusLn2Tail), r);
        T p = T.Fma(T.Create(DeterministicMath.E5), r, T.Create(DeterministicMath.E4));
        p = T.Fma(p, r, T.Create(DeterministicMath.E3));
        p = T.Fma(p, r, T.Create(DeterministicMath.E2));
        p = T.Fma(p, r, T.Create(DeterministicMath.E1));
        p = T.Fma(p, r, T.Create(DeterministicMath.E0));
        p = T.Fma(p, r * r, r) + T.Create(1f);

        // Two factors, since 2^n alone leaves the exponent's range at both ends; the rest is n - n / 2.
        int zero = BitConverter.SingleToInt32Bits(DeterministicMath.RoundingShift);
        T exponent = T.AddBits(shifted, T.CreateBits(-zero));
        T half = T.ShiftRight(exponent, 1);
        T rest = T.AddBits(exponent, T.AddBits(half ^ T.CreateBits(-1), T.CreateBits(1)));
        return p * PowerOfTwo(half) * PowerOfTwo(rest);
    }

    /// <summary><see cref="DeterministicMath.Sigmoid"/>.</summary>
    [MethodImpl(Inline)]
    public static T Sigmoid<T>(T x)
        where T : struct, IVec16<T> => T.Create(1f) / (T.Create(1f) + Exp(Negate(x)));

    /// <summary><see cref="DeterministicMath.Silu"/>.</summary>
    [MethodImpl(Inline)]
    public static T Silu<T>(T x)
        where T : struct, IVec16<T> => x / (T.Create(1f) + Exp(Negate(x)));

    /// <summary><see cref="DeterministicMath.Tanh"/>.</summary>
    [MethodImpl(Inline)]
    public static T Tanh<T>(T x)
        where T : struct, IVec16<T>
    {
        T magnitude = Abs(x);
        T u = x * x;
        T near = T.Fma(Polynomial(DeterministicMath.TanhCoefficients, u) * u, x, x);
        T one = T.Create(1f);
        T far = one - (T.Create(2f) / (Exp(magnitude + magnitude) + one));
        far |= x & T.CreateBits(int.MinValue);
        return T.Select(T.LessThan(magnitude, T.Create(DeterministicMath.TanhNear)), near, far);
    }

    /// <summary><see cref="DeterministicMath.Softplus"/>.</summary>
    [MethodImpl(Inline)]
    public static T Softplus<T>(T x)
        where T : struct, IVec16<T>
    {
        T y = Exp(Negate(Abs(x)));
        T s = y / (T.Create(2f) + y);
        T u = s * s;
        return Max(x, T.Zero) + T.Fma(Polynomial(DeterministicMath.AtanhCoefficients, u) * u, s, s + s);
    }

    /// <summary><see cref="DeterministicMath.Gelu"/>.</summary>
    [MethodImpl(Inline)]
    public static T Gelu<T>(T x)
        where T : struct, IVec16<T>
    {
        T one = T.Create(1f);
        T two = T.Create(2f);
        T half = T.Create(-0.5f);
        T magnitude = Min(Abs(x), T.Create(DeterministicMath.GeluFar));
        T z = magnitude * T.Create(DeterministicMath.InverseSquareRootOfTwo);
        T p = Polynomial(DeterministicMath.ErfcxCoefficients, (z - two) / (z + two));
        T square = magnitude * magnitude;
        T lost = T.Fma(magnitude, magnitude, Negate(square));
        T gauss = Exp(square * half);
        gauss = T.Fma(gauss, lost * half, gauss);
        T tail = T.Create(0.5f) * (gauss * (p / T.Fma(two, z, one)));
        return x * T.Select(T.LessThan(x, T.Zero), tail, one - tail);
    }

    /// <summary><see cref="DeterministicMath.GeluTanh"/>.</summary>
    [MethodImpl(Inline)]
    public static T GeluTanh<T>(T x)
        where T : struct, IVec16<T>
    {
        T inner = T.Fma(x * x * T.Create(DeterministicMath.GeluCubic), x, x);
        return x / (T.Create(1f) + Exp(inner * T.Create(-DeterministicMath.GeluTwiceSlope)));
    }

    // Flips the sign bit: subtracting from zero would turn -0 into +0.
    [MethodImpl(Inline)]
    private static T Negate<T>(T x)
        where T : struct, IVec16<T> => x ^ T.CreateBits(int.MinValue);

    [MethodImpl(Inline)]
    private static T Polynomial<T>(ReadOnlySpan<float> coefficients, T x)
        where T : struct, IVec16<T>
    {
        T p = T.Create(coefficients[0]);
        for (int i = 1; i < coefficients.Length; i++)
            p = T.Fma(p, x, T.Create(coefficients[i]));
        return p;
    }

    [MethodImpl(Inline)]
    private static T PowerOfTwo<T>(T exponent)
        where T : struct, IVec16<T> => T.ShiftLeft(T.AddBits(exponent, T.CreateBits(127)), 23);
}
