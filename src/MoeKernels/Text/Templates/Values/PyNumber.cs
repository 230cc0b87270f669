using System.Globalization;
using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Python's numbers: int without bounds, float, and bool as an int.</summary>
internal static class PyNumber
{
    /// <summary>Python's own limit between text and integers; beyond it both directions take quadratic time.</summary>
    public const int MaxDigits = 4300;

    // Longest integer an operation may make: 8 KiB each.
    private const long MaxBits = 1 << 16;

    public static bool IsNumber(object? value) => value is BigInteger or double or bool;

    public static bool TryInteger(object? value, out BigInteger integer)
    {
        integer = value switch
        {
            BigInteger number => number,
            true => BigInteger.One,
            _ => BigInteger.Zero,
        };
        return value is BigInteger or bool;
    }

    public static BigInteger Integer(object? value) => TryInteger(value, out BigInteger integer)
        ? integer
        : throw PyError.Type($"'{PyValue.TypeName(value)}' object cannot be interpreted as an integer");

    /// <summary>An index; beyond ± 2³⁰ saturated, far outside of any text or list here.</summary>
    public static int Index(object? value) => Saturate(Integer(value));

    public static int Saturate(BigInteger value) => (int)BigInteger.Clamp(value, -(1 << 30), 1 << 30);

    public static double ToDouble(object? value) => value switch
    {
        double number => number,
        _ => ToDouble(Integer(value)),
    };

    public static double ToDouble(BigInteger value)
    {
        if (long.MinValue <= value && value <= long.MaxValue)
            return (long)value;
        // Through the decimal digits, because the direct conversion does not round to nearest.
        double result = double.Parse(value.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return double.IsFinite(result)
            ? result
            : throw new PyError("OverflowError", "int too large to convert to float");
    }

    public static BigInteger Truncate(double value)
    {
        if (double.IsNaN(value))
            throw PyError.Value("cannot convert float NaN to integer");
        if (double.IsInfinity(value))
            throw new PyError("OverflowError", "cannot convert float infinity to integer");
        return new BigInteger(Math.Truncate(value));
    }

    /// <summary>Refuses integers whose size would make each operation on them expensive.</summary>
    public static void CheckBits(double bits)
    {
        if (bits > MaxBits)
            throw new PyError("LimitError", $"an integer of more than {MaxBits} bits");
        Budget.ChargeSteps(1 + ((long)bits >> 6));
    }

    public static string ToText(BigInteger value)
    {
        // 10^4300 has 14,285 bits.
        if (value.GetBitLength() > 14_285 && BigInteger.Abs(value) >= BigInteger.Pow(10, MaxDigits))
        {
            throw PyError.Value($"Exceeds the limit ({MaxDigits} digits) for integer string conversion;"
                + " use sys.set_int_max_str_digits() to increase the limit");
        }

        return value.ToString(CultureInfo.InvariantCulture);
    }

    public static BigInteger ParseInteger(string digits, int radix)
    {
        BigInteger value = 0;
        foreach (char c in digits)
            value = (value * radix) + DigitValue(c);
        return value;
    }

    /// <summary><c>int(text, radix)</c>: sign, prefix, underscores, white space around; null if no integer.</summary>
    public static BigInteger? TryParse(string text, int radix)
    {
        string digits = PyText.Trim(text);
        bool negative = digits.StartsWith('-');
        if (negative || digits.StartsWith('+'))
            digits = digits[1..];
        int prefixRadix = digits.Length > 2 && digits[0] == '0'
            ? char.ToLowerInvariant(digits[1]) switch { 'b' => 2, 'o' => 8, 'x' => 16, _ => 0 }
            : 0;
        if (prefixRadix != 0 && (radix == 0 || radix == prefixRadix))
        {
            radix = prefixRadix;
            digits = digits[2] == '_' ? digits[3..] : digits[2..];
        }
        else if (radix == 0)
        {
            radix = digits.Trim('0', '_').Length > 0 && digits.StartsWith('0') ? 0 : 10;
        }

        return IsInteger(digits, radix)
            ? (negative ? -1 : 1) * ParseInteger(digits.Replace("_", "", StringComparison.Ordinal), radix)
            : null;
    }

    private static bool IsInteger(string digits, int radix)
    {
        if (digits.Length == 0 || digits[0] == '_' || digits[^1] == '_'
            || digits.Contains("__", StringComparison.Ordinal))
        {
            return false;
        }

        if (digits.Length > MaxDigits)
            throw PyError.Value($"Exceeds the limit ({MaxDigits} digits) for integer string conversion");
        return digits.All(c => c == '_' || DigitValue(c) < radix);
    }

    private static int DigitValue(char c) => c switch
    {
        >= 'a' and <= 'z' => c - 'a' + 10,
        >= 'A' and <= 'Z' => c - 'A' + 10,
        _ when char.IsDigit(c) => (int)char.GetNumericValue(c),
        _ => int.MaxValue,
    };

    /// <summary><c>float(text)</c>, or null.</summary>
    public static double? TryParseDouble(string text)
    {
        string trimmed = PyText.Trim(text);
        string number = trimmed.Replace("_", "", StringComparison.Ordinal);
        bool grouped = number.Length == trimmed.Length || IsGrouped(trimmed);
        string bare = number.TrimStart('+', '-').ToLowerInvariant();
        if (number.Length - bare.Length > 1 || !grouped)
            return null;
        double? value = bare switch
        {
            "inf" or "infinity" => double.PositiveInfinity,
            "nan" => double.NaN,
            _ => null,
        };
        if (value is null && bare.Length > 0 && bare.All(c => char.IsAsciiDigit(c) || c is '.' or 'e' or '-' or '+')
            && double.TryParse(bare, NumberStyles.Float, CultureInfo.InvariantCulture, out double parsed))
        {
            value = parsed;
        }

        return number.StartsWith('-') ? -value : value;
    }

    private static bool IsGrouped(string text)
    {
        for (int i = text.IndexOf('_'); i >= 0; i = text.IndexOf('_', i + 1))
        {
            if (i == 0 || i == text.Length - 1 || !char.IsAsciiDigit(text[i - 1]) || !char.IsAsciiDigit(text[i + 1]))
                return false;
        }

        return true;
    }
}
