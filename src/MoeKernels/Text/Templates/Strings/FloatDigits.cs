using System.Globalization;
using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>A finite double as decimal digits: 0.d₁d₂d₃... × 10^<see cref="Point"/>, with a sign.</summary>
internal readonly record struct FloatDigits(bool Negative, string Digits, int Point)
{
    /// <summary>The shortest digits that read back as the same number.</summary>
    public static FloatDigits Shortest(double value)
    {
        string round = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        int e = round.IndexOf('E');
        string mantissa = e < 0 ? round : round[..e];
        int exponent = e < 0 ? 0 : int.Parse(round.AsSpan(e + 1), CultureInfo.InvariantCulture);
        int dot = mantissa.IndexOf('.');
        int point = (dot < 0 ? mantissa.Length : dot) + exponent;
        string digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        string significant = digits.TrimStart('0');
        point -= digits.Length - significant.Length;
        significant = significant.TrimEnd('0');
        return significant.Length == 0
            ? new FloatDigits(double.IsNegative(value), "0", 1)
            : new FloatDigits(double.IsNegative(value), significant, point);
    }

    /// <summary>All digits up to <paramref name="decimals"/> after the point, rounded half to even exactly.</summary>
    public static FloatDigits Fixed(double value, int decimals)
    {
        BigInteger scaled = Scaled(Math.Abs(value), decimals);
        string digits = scaled.ToString(CultureInfo.InvariantCulture);
        return new FloatDigits(double.IsNegative(value), digits, digits.Length - decimals);
    }

    /// <summary>Exactly <paramref name="count"/> significant digits, rounded half to even.</summary>
    public static FloatDigits Significant(double value, int count)
    {
        if (value == 0)
            return new FloatDigits(double.IsNegative(value), new string('0', count), 1);
        // The shortest digits may have been rounded up to a power of ten that the number itself does not reach.
        int point = Shortest(value).Point;
        Ratio(Math.Abs(value), 1 - point, out BigInteger numerator, out BigInteger denominator);
        if (numerator < denominator)
            point--;
        // Rounding may carry into one digit more.
        string digits = Scaled(Math.Abs(value), count - point).ToString(CultureInfo.InvariantCulture);
        return new FloatDigits(double.IsNegative(value), digits[..count], point + digits.Length - count);
    }

    /// <summary>|value| × 10^decimals as an integer, rounded half to even.</summary>
    private static BigInteger Scaled(double value, int decimals)
    {
        Ratio(value, decimals, out BigInteger numerator, out BigInteger denominator);
        BigInteger quotient = BigInteger.DivRem(numerator, denominator, out BigInteger rest);
        int half = (rest * 2).CompareTo(denominator);
        return half > 0 || (half == 0 && !quotient.IsEven) ? quotient + 1 : quotient;
    }

    /// <summary>|value| × 10^decimals as an exact fraction.</summary>
    private static void Ratio(double value, int decimals, out BigInteger numerator, out BigInteger denominator)
    {
        long bits = BitConverter.DoubleToInt64Bits(value);
        int exponent = (int)((bits >> 52) & 0x7FF);
        int shift = (exponent == 0 ? 1 : exponent) - 1075;
        numerator = (bits & ((1L << 52) - 1)) | (exponent == 0 ? 0 : 1L << 52);
        denominator = BigInteger.One;
        BigInteger power = BigInteger.Pow(10, Math.Abs(decimals));
        if (decimals >= 0)
            numerator *= power;
        else
            denominator *= power;
        if (shift >= 0)
            numerator <<= shift;
        else
            denominator <<= -shift;
    }

    private string Sign => Negative ? "-" : "";

    /// <summary>The form of <c>repr</c>.</summary>
    public string ToPython() => Point is > -4 and <= 16 ? Sign + Plain(minDecimals: 1) : Sign + Scientific();

    /// <summary>Without an exponent, with at least <paramref name="minDecimals"/> digits after the point.</summary>
    public string Plain(int minDecimals)
    {
        string digits = Point <= 0 ? new string('0', 1 - Point) + Digits : Digits.PadRight(Point, '0');
        int whole = Math.Max(1, Point);
        string decimals = digits[whole..].PadRight(minDecimals, '0');
        return decimals.Length == 0 ? digits[..whole] : $"{digits[..whole]}.{decimals}";
    }

    public string Scientific(char mark = 'e')
    {
        int exponent = Point - 1;
        string decimals = Digits.Length > 1 ? "." + Digits[1..] : "";
        return $"{Digits[0]}{decimals}{mark}{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
    }
}
