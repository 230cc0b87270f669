using System.Globalization;
using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary><c>format % values</c>.</summary>
internal sealed class PercentFormat
{
    private readonly string _format;
    private readonly object? _values;
    private readonly object?[] _items;
    private readonly bool _escape;
    private int _at;
    private int _used;

    private PercentFormat(string format, object? values, bool escape)
    {
        _format = format;
        _values = values;
        _items = values is PyTuple tuple ? tuple.Items : [values];
        _escape = escape;
    }

    public static string Apply(string format, object? values, bool escape = false) =>
        new PercentFormat(format, values, escape).Run();

    private string Run()
    {
        var result = new StringBuilder();
        while (_at < _format.Length)
        {
            int percent = _format.IndexOf('%', _at);
            int end = percent < 0 ? _format.Length : percent;
            Budget.ChargeText(end - _at + 1);
            result.Append(_format, _at, end - _at);
            _at = end + 1;
            if (percent >= 0)
                result.Append(Conversion());
        }

        // What can be indexed could be a mapping, so it need not be used up.
        if (_used < _items.Length && _values is not (PyDict or PyList or PyRange or Undefined))
            throw PyError.Type("not all arguments converted during string formatting");
        return result.ToString();
    }

    private char Peek() => _at < _format.Length ? _format[_at] : throw PyError.Value("incomplete format");

    private string Conversion()
    {
        object? key = Missing.Value;
        if (Peek() == '(')
            key = Key();
        var spec = new FormatSpec { Align = '>' };
        for (; "-+ 0#".Contains(Peek(), StringComparison.Ordinal); _at++)
            spec = Flag(spec, _format[_at]);
        int width = Size() ?? 0;
        spec = spec with { Width = Math.Abs(width), Align = width < 0 ? '<' : spec.Align };
        if (Peek() == '.')
        {
            _at++;
            spec = spec with { Precision = Math.Max(0, Size() ?? 0) };
        }

        while (Peek() is 'h' or 'l' or 'L')
            _at++;
        char type = Peek();
        _at++;
        if (type == '%')
            return "%";
        object? value = key == Missing.Value ? Take() : FromMap(key);
        return Convert(spec with { Type = type }, value);
    }

    private static FormatSpec Flag(FormatSpec spec, char flag) => flag switch
    {
        '-' => spec with { Align = '<' },
        '+' => spec with { Sign = '+' },
        ' ' => spec.Sign == '+' ? spec : spec with { Sign = ' ' },
        '0' => spec with { ZeroPad = true },
        _ => spec with { Alternate = true },
    };

    private string Key()
    {
        int depth = 1, start = ++_at;
        for (; depth > 0; _at++)
            depth += Peek() == '(' ? 1 : Peek() == ')' ? -1 : 0;
        return _format[start..(_at - 1)];
    }

    private object? FromMap(object? key) =>
        PyDict.Require(_values, "format requires a mapping").TryGet(key, out object? value)
        ? value
        : throw new PyError("KeyError", PyRepr.Of(key));

    private object? Take() => _used < _items.Length
        ? _items[_used++]
        : throw PyError.Type("not enough arguments for format string");

    private int? Size()
    {
        if (Peek() == '*')
        {
            _at++;
            return PyNumber.TryInteger(Take(), out BigInteger size)
                ? PyNumber.Saturate(size)
                : throw PyError.Type("* wants int");
        }

        int start = _at;
        while (char.IsAsciiDigit(Peek()))
            _at++;
        if (_at == start)
            return null;
        return int.TryParse(_format.AsSpan(start, _at - start), CultureInfo.InvariantCulture, out int number)
            ? number
            : throw PyError.Value("width too big");
    }

    private string Convert(FormatSpec spec, object? value)
    {
        switch (spec.Type)
        {
            case 's' or 'r' or 'a':
                return Text(spec, value);
            case 'c':
                return Character(spec, value);
            case 'd' or 'i' or 'u' or 'x' or 'X' or 'o':
                return Integer(spec, value);
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                if (!PyNumber.IsNumber(value))
                    throw PyError.Type($"must be real number, not {PyValue.TypeName(value)}");
                return NumberFormat.Float(ZeroPadded(spec), PyNumber.ToDouble(value));
            default:
                throw PyError.Value($"unsupported format character '{spec.Type}' (0x{(int)spec.Type:x})");
        }
    }

    private string Text(FormatSpec spec, object? value)
    {
        string text = spec.Type == 's' ? PyValue.ToText(value)
            : spec.Type == 'r' ? PyRepr.Of(value) : PyRepr.Ascii(value);
        if (_escape && value is not Markup)
            text = Html.Escape(text);
        string cut = spec.Precision >= 0 ? PyText.Substring(text, 0, spec.Precision) : text;
        Budget.ChargeText(cut.Length);
        return spec.Pad(cut, spec.Align);
    }

    private static string Character(FormatSpec spec, object? value)
    {
        if (PyValue.TryText(value, out string text))
        {
            return PyText.Length(text) == 1
                ? spec.Pad(text, spec.Align)
                : throw PyError.Type("%c requires int or char");
        }

        if (!PyNumber.TryInteger(value, out BigInteger code))
            throw PyError.Type("%c requires int or char");
        return spec.Pad(NumberFormat.Integer(new FormatSpec { Type = 'c' }, code), spec.Align);
    }

    // Unlike format(), a left-aligned number is never filled with zeros.
    private static FormatSpec ZeroPadded(FormatSpec spec) =>
        spec.ZeroPad && spec.Align == '>' ? spec with { Align = '=', Fill = "0" } : spec;

    private static string Integer(FormatSpec spec, object? value)
    {
        bool decimals = spec.Type is 'd' or 'i' or 'u';
        if (!PyNumber.TryInteger(value, out BigInteger integer))
        {
            if (value is not double number || !decimals)
            {
                string wanted = decimals ? "a real number is required" : "an integer is required";
                throw PyError.Type($"%{spec.Type} format: {wanted}, not {PyValue.TypeName(value)}");
            }

            integer = PyNumber.Truncate(number);
        }

        FormatSpec bare = spec with { Precision = -1, Type = decimals ? 'd' : spec.Type };
        if (spec.Precision < 0)
            return NumberFormat.Integer(ZeroPadded(bare), integer);
        // A precision is the least number of digits.
        Budget.ChargeText(spec.Precision);
        string digits = NumberFormat.Integer(new FormatSpec { Type = bare.Type }, BigInteger.Abs(integer));
        string prefix = spec.Alternate && !decimals ? $"0{spec.Type}" : "";
        string sign = integer.Sign < 0 ? "-" : spec.Sign == '-' ? "" : spec.Sign.ToString();
        return spec.Pad(sign + prefix + digits.PadLeft(spec.Precision, '0'), spec.Align);
    }
}
