using System.Globalization;
using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Filters on numbers, and conversions to them.</summary>
internal static class NumberFilters
{
    public static readonly Dictionary<string, Filter> All = new(StringComparer.Ordinal)
    {
        ["abs"] = (_, value, arguments) => Abs(value, arguments),
        ["int"] = (_, value, arguments) => ToInt(value, arguments.Bind("int", 0, "default", "base")),
        ["float"] = (_, value, arguments) => ToFloat(value, arguments.Bind("float", 0, "default")),
        ["round"] = (_, value, arguments) => Round(value, arguments.Bind("round", 0, "precision", "method")),
        ["filesizeformat"] = (_, value, arguments) => FileSize(
            value, arguments.Bind("filesizeformat", 0, "binary").Flag(0)),
    };

    private static object Abs(object? value, Arguments arguments)
    {
        arguments.Bind("abs", 0);
        if (value is double number)
            return Math.Abs(number);
        return PyNumber.TryInteger(value, out BigInteger integer)
            ? BigInteger.Abs(integer)
            : throw PyError.Type($"bad operand type for abs(): '{PyValue.TypeName(value)}'");
    }

    private static object? ToInt(object? value, BoundArguments arguments)
    {
        object? fallback = arguments.Or(0, BigInteger.Zero);
        if (value is Undefined undefined)
            throw undefined.Error();
        if (PyNumber.TryInteger(value, out BigInteger integer))
            return integer;
        if (value is double number)
            return double.IsFinite(number) ? PyNumber.Truncate(number) : NotFinite(number, fallback);
        if (!PyValue.TryText(value, out string text))
            return fallback;
        int radix = arguments.Int(1, 10);
        if (radix is 0 or >= 2 and <= 36 && PyNumber.TryParse(text, radix) is { } parsed)
            return parsed;
        // "42.23" is 42, too.
        return PyNumber.TryParseDouble(text) is { } real && double.IsFinite(real) ? PyNumber.Truncate(real) : fallback;
    }

    // The reference lets the error for infinity through when the value is a float itself.
    private static object? NotFinite(double number, object? fallback) =>
        double.IsNaN(number) ? fallback : PyNumber.Truncate(number);

    private static object? ToFloat(object? value, BoundArguments arguments)
    {
        if (value is Undefined undefined)
            throw undefined.Error();
        if (PyNumber.IsNumber(value))
            return PyNumber.ToDouble(value);
        return PyValue.TryText(value, out string text) && PyNumber.TryParseDouble(text) is { } number
            ? number
            : arguments.Or(0, 0.0);
    }

    private static object Round(object? value, BoundArguments arguments)
    {
        int precision = arguments.Int(0, 0);
        string method = arguments.Text(1, "common");
        if (method is not ("common" or "ceil" or "floor"))
            throw PyError.Filter("method must be common, ceil or floor");
        if (value is Undefined undefined && method != "common")
            throw undefined.Error();
        if (!PyNumber.IsNumber(value))
            throw PyError.Type($"type {PyValue.TypeName(value)} doesn't define __round__ method");
        if (method == "common")
            return RoundHalfEven(value, precision);
        object power = PyArithmetic.Apply("**", new BigInteger(10), new BigInteger(precision))!;
        double scaled = PyNumber.ToDouble(PyArithmetic.Apply("*", value, power));
        BigInteger whole = PyNumber.Truncate(method == "ceil" ? Math.Ceiling(scaled) : Math.Floor(scaled));
        return PyArithmetic.Apply("/", whole, power)!;
    }

    private static object RoundHalfEven(object? value, int precision)
    {
        if (value is double number)
            return RoundDouble(number, precision);
        BigInteger integer = PyNumber.Integer(value);
        if (precision >= 0)
            return integer;
        PyNumber.CheckBits(-3.33 * precision);
        BigInteger power = BigInteger.Pow(10, -precision);
        BigInteger quotient = BigInteger.DivRem(BigInteger.Abs(integer), power, out BigInteger rest);
        int half = (rest * 2).CompareTo(power);
        if (half > 0 || (half == 0 && !quotient.IsEven))
            quotient++;
        return quotient * power * integer.Sign;
    }

    private static double RoundDouble(double value, int precision)
    {
        // Beyond these, every digit of a double is kept or none.
        if (!double.IsFinite(value) || precision > 323)
            return value;
        if (precision < -308)
            return Math.CopySign(0, value);
        FloatDigits digits = FloatDigits.Fixed(value, precision);
        string text = precision >= 0 ? digits.Plain(precision) : $"{digits.Digits}e{-precision}";
        return Math.CopySign(double.Parse(text, CultureInfo.InvariantCulture), value);
    }

    private static string FileSize(object? value, bool binary)
    {
        double size = PyValue.TryText(value, out string text)
            ? PyNumber.TryParseDouble(text)
                ?? throw PyError.Value($"could not convert string to float: {PyRepr.Of(text)}")
            : PyNumber.IsNumber(value)
                ? PyNumber.ToDouble(value)
                : throw PyError.Type($"float() argument must be a string or a real number, not "
                    + $"'{PyValue.TypeName(value)}'");
        double unit = binary ? 1024 : 1000;
        if (size == 1)
            return "1 Byte";
        if (size < unit)
            return $"{PyNumber.ToText(PyNumber.Truncate(size))} Bytes";
        const string Prefixes = "kMGTPEZY";
        int index = 0;
        double limit = unit * unit;
        for (; index < Prefixes.Length - 1 && size >= limit; index++)
            limit *= unit;
        string amount = new FormatSpec { Type = 'f', Precision = 1 }.Format(unit * size / limit);
        string prefix = binary ? $"{char.ToUpperInvariant(Prefixes[index])}iB" : $"{Prefixes[index]}B";
        return $"{amount} {prefix}";
    }
}
