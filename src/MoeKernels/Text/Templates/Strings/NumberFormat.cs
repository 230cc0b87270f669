using System.Globalization;
using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>Numbers by a <see cref="FormatSpec"/>.</summary>
internal static class NumberFormat
{
    // A double has at most 1,074 digits after the point and 309 before it; more are zeros at any rate.
    private const int MaxPrecision = 1_100;

    public static string Integer(FormatSpec spec, BigInteger value)
    {
        if (spec.Precision >= 0)
            throw PyError.Value("Precision not allowed in integer format specifier");
        BigInteger size = BigInteger.Abs(value);
        (string prefix, string digits) = spec.Type switch
        {
            '\0' or 'd' or 'n' => ("", PyNumber.ToText(size)),
            'b' => ("0b", Radix(size, 1)),
            'o' => ("0o", Radix(size, 3)),
            'x' => ("0x", Radix(size, 4)),
            'X' => ("0X", Radix(size, 4).ToUpperInvariant()),
            'c' => ("", Character(value)),
            _ => throw PyError.Value($"Unknown format code '{spec.Type}' for object of type 'int'"),
        };
        int group = spec.Type is 'b' or 'o' or 'x' or 'X' ? 4 : 3;
        return Assemble(spec, value.Sign < 0, spec.Alternate ? prefix : "", digits, "", group);
    }

    private static string Character(BigInteger value)
    {
        if (value.Sign < 0 || value > 0x10FFFF)
            throw new PyError("OverflowError", "%c arg not in range(0x110000)");
        return PyText.FromCodes([(int)value]);
    }

    /// <summary>Digits in radix 2^<paramref name="bits"/>.</summary>
    public static string Radix(BigInteger value, int bits)
    {
        if (value.IsZero)
            return "0";
        var digits = new StringBuilder();
        byte[] bytes = value.ToByteArray(isUnsigned: true);
        long count = value.GetBitLength();
        Budget.ChargeText(count);
        for (long bit = 0; bit < count; bit += bits)
        {
            int digit = 0;
            for (int i = 0; i < bits && bit + i < count; i++)
                digit |= ((bytes[(bit + i) >> 3] >> (int)((bit + i) & 7)) & 1) << i;
            digits.Append("0123456789abcdef"[digit]);
        }

        return Reverse(digits);
    }

    public static string Float(FormatSpec spec, double value)
    {
        bool upper = spec.Type is 'E' or 'F' or 'G';
        string digits = double.IsFinite(value)
            ? Digits(spec, Math.Abs(value))
            : double.IsNaN(value) ? "nan" : "inf";
        if (upper)
            digits = digits.ToUpperInvariant();
        if (spec.Type == '%')
            digits += "%";
        int whole = 0;
        while (whole < digits.Length && char.IsAsciiDigit(digits[whole]))
            whole++;
        bool negative = double.IsNegative(value) && !double.IsNaN(value);
        return Assemble(spec, negative, "", digits[..whole], digits[whole..], 3);
    }

    private static string Digits(FormatSpec spec, double value)
    {
        Budget.ChargeText(Math.Max(0, spec.Precision));
        int precision = Math.Min(spec.Precision < 0 ? 6 : spec.Precision, MaxPrecision);
        string padding = new('0', Math.Max(0, spec.Precision - MaxPrecision));
        switch (char.ToLowerInvariant(spec.Type))
        {
            case 'f':
                return Dot(spec, FloatDigits.Fixed(value, precision).Plain(precision) + padding);
            case '%':
                return Dot(spec, FloatDigits.Fixed(value * 100, precision).Plain(precision) + padding);
            case 'e':
                return FloatDigits.Significant(value, precision + 1).Scientific();
            case '\0' when spec.Precision < 0:
                return FloatDigits.Shortest(value).ToPython();
            case 'g' or 'n' or '\0':
                return General(spec, value, Math.Max(1, precision));
            default:
                throw PyError.Value($"Unknown format code '{spec.Type}' for object of type 'float'");
        }
    }

    private static string Dot(FormatSpec spec, string digits) =>
        spec.Alternate && !digits.Contains('.') ? digits + "." : digits;

    private static string General(FormatSpec spec, double value, int precision)
    {
        FloatDigits digits = FloatDigits.Significant(value, precision);
        // Without a type the result always looks like a float, and the exponent comes one digit earlier.
        bool untyped = spec.Type == '\0';
        bool scientific = digits.Point is <= -4 || digits.Point > precision - (untyped ? 1 : 0);
        if (!spec.Alternate)
        {
            string significant = digits.Digits.TrimEnd('0');
            digits = digits with { Digits = significant.Length == 0 ? "0" : significant };
        }

        return scientific ? digits.Scientific() : digits.Plain(untyped ? 1 : 0);
    }

    /// <summary>Sign, prefix, grouped digits and the rest, padded as asked.</summary>
    private static string Assemble(
        FormatSpec spec, bool negative, string prefix, string digits, string rest, int group)
    {
        string sign = negative ? "-" : spec.Sign == '-' ? "" : spec.Sign.ToString();
        string head = sign + prefix;
        bool zeros = spec.Align == '=' && spec.Fill == "0";
        int room = zeros ? spec.Width - head.Length - rest.Length : 0;
        Budget.ChargeText(Math.Max(0, room));
        if (spec.Grouping != '\0')
            digits = Group(digits, spec.Grouping, group, room);
        if (spec.Align != '=')
            return spec.Pad(head + digits + rest, spec.Align == '\0' ? '>' : spec.Align);
        int missing = spec.Width - head.Length - digits.Length - rest.Length;
        return head + PyText.Repeat(spec.Fill, Math.Max(0, missing)) + digits + rest;
    }

    private static string Group(string digits, char separator, int size, int room)
    {
        var result = new StringBuilder();
        int used = 0;
        for (int i = digits.Length - 1; i >= 0 || result.Length < room; i--, used++)
        {
            if (used > 0 && used % size == 0)
                result.Append(separator);
            result.Append(i >= 0 ? digits[i] : '0');
        }

        return Reverse(result);
    }

    private static string Reverse(StringBuilder text)
    {
        char[] characters = text.ToString().ToCharArray();
        Array.Reverse(characters);
        return new string(characters);
    }
}
