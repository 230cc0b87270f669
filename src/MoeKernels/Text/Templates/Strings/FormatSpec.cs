using System.Globalization;
using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>
/// One format: <c>[[fill]align][sign][z][#][0][width][grouping][.precision][type]</c>, as Python's
/// <c>format()</c> reads it; <c>%</c> formatting fills in the same record.
/// </summary>
internal sealed record FormatSpec
{
    public string Fill { get; init; } = " ";

    /// <summary>Whether the fill was written; only then it wins over the zero flag.</summary>
    private bool HasFill { get; init; }

    public char Align { get; init; }

    public char Sign { get; init; } = '-';

    public bool Alternate { get; init; }

    public bool ZeroPad { get; init; }

    public int Width { get; init; }

    public char Grouping { get; init; }

    public int Precision { get; init; } = -1;

    public char Type { get; init; }

    public static FormatSpec Parse(string text)
    {
        var spec = new FormatSpec();
        int at = 0;
        int fill = text.Length > 0 ? (PyText.CodeAt(text, 0, out int units) >= 0 ? units : 1) : 1;
        if (text.Length > fill && text[fill] is '<' or '>' or '=' or '^')
        {
            spec = spec with { Fill = text[..fill], Align = text[fill], HasFill = true };
            at = fill + 1;
        }
        else if (text.Length > 0 && text[0] is '<' or '>' or '=' or '^')
        {
            spec = spec with { Align = text[at++] };
        }

        if (at < text.Length && text[at] is '+' or '-' or ' ')
            spec = spec with { Sign = text[at++] };
        if (at < text.Length && text[at] == 'z')
            throw new MoeUnsupportedException("the format option 'z'");
        if (Skip(text, '#', ref at))
            spec = spec with { Alternate = true };
        if (Skip(text, '0', ref at))
        {
            spec = spec with
            {
                ZeroPad = true,
                Fill = spec.HasFill ? spec.Fill : "0",
                Align = spec.Align == '\0' ? '=' : spec.Align,
            };
        }

        spec = spec with { Width = Number(text, ref at) ?? 0 };
        if (at < text.Length && text[at] is ',' or '_')
            spec = spec with { Grouping = text[at++] };
        if (Skip(text, '.', ref at))
        {
            int? precision = Number(text, ref at);
            spec = spec with { Precision = precision ?? throw PyError.Value("Format specifier missing precision") };
        }

        if (at < text.Length)
            spec = spec with { Type = text[at++] };
        return at == text.Length ? spec : throw PyError.Value("Invalid format specifier");
    }

    private static bool Skip(string text, char c, ref int at)
    {
        bool found = at < text.Length && text[at] == c;
        at += found ? 1 : 0;
        return found;
    }

    private static int? Number(string text, ref int at)
    {
        int start = at;
        while (at < text.Length && char.IsAsciiDigit(text[at]))
            at++;
        if (at == start)
            return null;
        return int.TryParse(text.AsSpan(start, at - start), CultureInfo.InvariantCulture, out int number)
            ? number
            : throw PyError.Value("Too many decimal digits in format string");
    }

    /// <summary><c>format(value, spec)</c>.</summary>
    public string Format(object? value)
    {
        if (PyValue.TryText(value, out string text))
            return FormatText(text);
        if (value is double number)
            return NumberFormat.Float(this, number);
        if (!PyNumber.TryInteger(value, out BigInteger integer))
            throw PyError.Type($"unsupported format string passed to {PyValue.TypeName(value)}.__format__");
        return Type is 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%'
            ? NumberFormat.Float(this, PyNumber.ToDouble(integer))
            : NumberFormat.Integer(this, integer);
    }

    private string FormatText(string text)
    {
        if (Type is not ('\0' or 's'))
            throw PyError.Value($"Unknown format code '{Type}' for object of type 'str'");
        if (Align == '=' && !ZeroPad)
            throw PyError.Value("'=' alignment not allowed in string format specifier");
        if (Grouping != '\0')
            throw PyError.Value($"Cannot specify '{Grouping}' with 's'.");
        string cut = Precision >= 0 ? PyText.Substring(text, 0, Precision) : text;
        return Pad(cut, Align is '\0' or '=' ? '<' : Align);
    }

    /// <summary>Fills <paramref name="text"/> up to the width on the side that the alignment leaves open.</summary>
    public string Pad(string text, char align)
    {
        int missing = Width - PyText.Length(text);
        if (missing <= 0)
            return text;
        int left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
        return PyText.Repeat(Fill, left) + text + PyText.Repeat(Fill, missing - left);
    }
}
