using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>The operators <c>+ - * / // % **</c> and the signs.</summary>
internal static class PyArithmetic
{
    public static object? Apply(string op, object? left, object? right)
    {
        if (op == "%" && PyValue.TryText(left, out string format))
            return Percent(left, format, right);
        if ((left as Undefined ?? right as Undefined) is { } undefined)
            throw undefined.Error();
        if (PyNumber.TryInteger(left, out BigInteger a) && PyNumber.TryInteger(right, out BigInteger b))
            return Integers(op, a, b);
        if (PyNumber.IsNumber(left) && PyNumber.IsNumber(right))
            return Doubles(op, PyNumber.ToDouble(left), PyNumber.ToDouble(right));
        return op switch
        {
            "+" => Concatenate(left, right),
            "*" => Repeat(left, right),
            _ => throw PyError.Operands(op == "**" ? "** or pow()" : op, left, right),
        };
    }

    public static object Sign(bool negative, object? value) => value switch
    {
        Undefined undefined => throw undefined.Error(),
        double number => negative ? -number : number,
        _ when PyNumber.TryInteger(value, out BigInteger integer) => negative ? -integer : integer,
        _ => throw PyError.Type(
            $"bad operand type for unary {(negative ? '-' : '+')}: '{PyValue.TypeName(value)}'"),
    };

    private static object Percent(object? left, string format, object? right)
    {
        bool markup = left is Markup;
        string text = PercentFormat.Apply(format, right, markup);
        return markup ? new Markup(text) : text;
    }

    private static object Integers(string op, BigInteger a, BigInteger b)
    {
        switch (op)
        {
            case "+":
                return a + b;
            case "-":
                return a - b;
            case "*":
                PyNumber.CheckBits((double)a.GetBitLength() + b.GetBitLength());
                return a * b;
            case "**":
                return b.Sign < 0 ? Doubles(op, PyNumber.ToDouble(a), PyNumber.ToDouble(b)) : Power(a, b);
        }

        if (b.IsZero)
            throw new PyError("ZeroDivisionError", IntegerZero(op));
        if (op == "/")
            return Divide(a, b);
        BigInteger quotient = BigInteger.DivRem(a, b, out BigInteger rest);
        bool down = !rest.IsZero && rest.Sign != b.Sign;
        return op == "//" ? (down ? quotient - 1 : quotient) : (down ? rest + b : rest);
    }

    private static string IntegerZero(string op) => op switch
    {
        "/" => "division by zero",
        "//" => "integer division or modulo by zero",
        _ => "integer modulo by zero",
    };

    private static BigInteger Power(BigInteger value, BigInteger exponent)
    {
        if (value.IsOne || value.IsZero || value == BigInteger.MinusOne)
            return exponent.IsZero ? 1 : value.Sign < 0 && exponent.IsEven ? 1 : value;
        PyNumber.CheckBits((double)value.GetBitLength() * (double)exponent);
        return BigInteger.Pow(value, (int)exponent);
    }

    /// <summary>
    /// The quotient rounded once: exact up to the bits a double holds, with the rest as a sticky bit.
    /// </summary>
    private static double Divide(BigInteger a, BigInteger b)
    {
        const long Exact = 1L << 53;
        if (BigInteger.Abs(a) <= Exact && BigInteger.Abs(b) <= Exact)
            return (double)(long)a / (long)b;
        int shift = (int)Math.Max(0, 66 - (a.GetBitLength() - b.GetBitLength()));
        BigInteger quotient = BigInteger.DivRem(BigInteger.Abs(a) << shift, BigInteger.Abs(b), out BigInteger rest);
        if (!rest.IsZero)
            quotient |= 1;
        double value = Math.ScaleB(PyNumber.ToDouble(quotient), -shift);
        return a.Sign == b.Sign ? value : -value;
    }

    private static double Doubles(string op, double a, double b)
    {
        switch (op)
        {
            case "+":
                return a + b;
            case "-":
                return a - b;
            case "*":
                return a * b;
            case "**":
                return Power(a, b);
        }

        if (b == 0)
            throw new PyError("ZeroDivisionError", op == "%" ? "float modulo" : "float division by zero");
        return op switch
        {
            "/" => a / b,
            "//" => FloorDivide(a, b),
            _ => Modulo(a, b),
        };
    }

    private static double Power(double value, double exponent)
    {
        if (value == 0 && exponent < 0)
            throw new PyError("ZeroDivisionError", "0.0 cannot be raised to a negative power");
        if (value < 0 && double.IsFinite(value) && double.IsFinite(exponent) && !double.IsInteger(exponent))
            throw new MoeUnsupportedException("complex numbers in templates");
        double result = Math.Pow(value, exponent);
        if (double.IsInfinity(result) && double.IsFinite(value) && double.IsFinite(exponent))
            throw new PyError("OverflowError", "(34, 'Numerical result out of range')");
        return result;
    }

    private static double Modulo(double a, double b)
    {
        double rest = a % b;
        if (rest == 0)
            return Math.CopySign(0, b);
        return rest < 0 != b < 0 ? rest + b : rest;
    }

    private static double FloorDivide(double a, double b)
    {
        double quotient = (a - Modulo(a, b)) / b;
        double floor = Math.Floor(quotient);
        return quotient - floor > 0.5 ? floor + 1 : floor;
    }

    private static object Concatenate(object? left, object? right)
    {
        if (left is Markup || (right is Markup && left is string))
            return ConcatenateMarkup(left, right);
        if (left is string a)
        {
            string b = right as string
                ?? throw PyError.Type($"can only concatenate str (not \"{PyValue.TypeName(right)}\") to str");
            Budget.ChargeText((long)a.Length + b.Length);
            return a + b;
        }

        if (left is not PySequence sequence)
            throw PyError.Operands("+", left, right);
        string type = left is PyList ? "list" : "tuple";
        if (right is not PySequence other || (right is PyList) != (left is PyList))
            throw PyError.Type($"can only concatenate {type} (not \"{PyValue.TypeName(right)}\") to {type}");
        Budget.ChargeItems((long)sequence.Items.Length + other.Items.Length);
        return sequence.Make([.. sequence.Items, .. other.Items]);
    }

    private static Markup ConcatenateMarkup(object? left, object? right)
    {
        if (!PyValue.TryText(right, out _))
            throw PyError.Operands("+", left, right);
        string text = Html.EscapeUnlessMarkup(left) + Html.EscapeUnlessMarkup(right);
        Budget.ChargeText(text.Length);
        return new Markup(text);
    }

    private static object Repeat(object? left, object? right)
    {
        bool leftRepeats = left is PySequence || PyValue.TryText(left, out _);
        bool rightRepeats = right is PySequence || PyValue.TryText(right, out _);
        if (!leftRepeats && !rightRepeats)
            throw PyError.Operands("*", left, right);
        object value = (leftRepeats ? left : right)!;
        object? factor = leftRepeats ? right : left;
        if (!PyNumber.TryInteger(factor, out BigInteger integer))
            throw PyError.Type($"can't multiply sequence by non-int of type '{PyValue.TypeName(factor)}'");
        int count = Math.Max(0, PyNumber.Saturate(integer));
        if (value is PySequence sequence)
            return sequence.Make(RepeatItems(sequence.Items, count));
        PyValue.TryText(value, out string text);
        string result = PyText.Repeat(text, count);
        return value is Markup ? new Markup(result) : result;
    }

    private static object?[] RepeatItems(object?[] items, int count)
    {
        Budget.ChargeItems((long)items.Length * count);
        var result = new object?[items.Length * count];
        for (int i = 0; items.Length > 0 && i < count; i++)
            items.CopyTo(result, i * items.Length);
        return result;
    }
}
