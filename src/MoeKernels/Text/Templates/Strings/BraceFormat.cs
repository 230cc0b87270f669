using System.Globalization;
using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary><c>str.format</c>, with attributes looked up under the sandbox's rules.</summary>
internal sealed class BraceFormat(Arguments arguments)
{
    private const int MaxDepth = 2;

    private int _next;
    private bool _manual;

    public static string Apply(string format, Arguments arguments) =>
        new BraceFormat(arguments).Run(format, MaxDepth);

    private string Run(string format, int depth)
    {
        if (depth < 0)
            throw PyError.Value("Max string recursion exceeded");
        var result = new StringBuilder();
        for (int at = 0; at < format.Length; at++)
        {
            char c = format[at];
            Budget.ChargeText(1);
            bool doubled = at + 1 < format.Length && format[at + 1] == c;
            if (c is not ('{' or '}'))
            {
                result.Append(c);
            }
            else if (doubled)
            {
                result.Append(c);
                at++;
            }
            else
            {
                int end = c == '{'
                    ? FieldEnd(format, at)
                    : throw PyError.Value("Single '}' encountered in format string");
                result.Append(Field(format[(at + 1)..end], depth));
                at = end;
            }
        }

        return result.ToString();
    }

    private static int FieldEnd(string format, int start)
    {
        int depth = 0;
        for (int i = start; i < format.Length; i++)
        {
            depth += format[i] == '{' ? 1 : format[i] == '}' ? -1 : 0;
            if (depth == 0)
                return i;
        }

        throw PyError.Value(start + 1 == format.Length
            ? "Single '{' encountered in format string"
            : "expected '}' before end of string");
    }

    private string Field(string field, int depth)
    {
        int nameEnd = NameEnd(field);
        string name = field[..nameEnd];
        string rest = field[nameEnd..];
        char conversion = '\0';
        if (rest.StartsWith('!'))
        {
            if (rest.Length < 2 || (rest.Length > 2 && rest[2] != ':'))
                throw PyError.Value("expected ':' after conversion specifier");
            conversion = rest[1];
            rest = rest[2..];
        }

        object? value = Convert(Lookup(name), conversion);
        string spec = rest.Length > 0 ? Run(rest[1..], depth - 1) : "";
        string text = spec.Length == 0 ? PyValue.ToText(value) : FormatSpec.Parse(spec).Format(value);
        Budget.ChargeText(text.Length);
        return text;
    }

    // Brackets may hold ':' and '!'.
    private static int NameEnd(string field)
    {
        bool inBracket = false;
        for (int i = 0; i < field.Length; i++)
        {
            inBracket = field[i] == '[' || (inBracket && field[i] != ']');
            if (!inBracket && field[i] is ':' or '!')
                return i;
        }

        return field.Length;
    }

    private static object? Convert(object? value, char conversion) => conversion switch
    {
        '\0' => value,
        's' => PyValue.ToText(value),
        'r' => PyRepr.Of(value),
        'a' => PyRepr.Ascii(value),
        _ => throw PyError.Value($"Unknown conversion specifier {conversion}"),
    };

    private object? Lookup(string name)
    {
        int end = name.IndexOfAny(['.', '[']);
        string first = end < 0 ? name : name[..end];
        object? value = Argument(first);
        for (int at = end < 0 ? name.Length : end; at < name.Length;)
        {
            bool attribute = name[at] == '.';
            int close = attribute ? name.IndexOfAny(['.', '['], at + 1) : name.IndexOf(']', at);
            if (close < 0 && !attribute)
                throw PyError.Value("Missing ']' in format string");
            close = close < 0 ? name.Length : close;
            string part = name[(at + 1)..close];
            if (part.Length == 0)
                throw PyError.Value("Empty attribute in format string");
            value = attribute
                ? PyAttribute.GetAttribute(value, part)
                : PyAttribute.GetItem(value, Index(part) is { } index ? index : part);
            at = attribute ? close : close + 1;
        }

        return value;
    }

    private static BigInteger? Index(string text) => text.All(char.IsAsciiDigit) && text.Length is > 0 and < 10
        ? BigInteger.Parse(text, CultureInfo.InvariantCulture)
        : null;

    private object? Argument(string name)
    {
        BigInteger? given = Index(name);
        if (name.Length == 0 || given is not null)
        {
            bool manual = given is not null;
            if (_next > 0 && manual != _manual)
            {
                throw PyError.Value(manual
                    ? "cannot switch from automatic field numbering to manual field specification"
                    : "cannot switch from manual field specification to automatic field numbering");
            }

            _manual = manual;
            int index = manual ? (int)given!.Value : _next;
            _next++;
            return index < arguments.Positional.Length
                ? arguments.Positional[index]
                : throw new PyError("IndexError",
                    $"Replacement index {index} out of range for positional args tuple");
        }

        return arguments.Named.TryGet(name, out object? value)
            ? value
            : throw new PyError("KeyError", PyRepr.Of(name));
    }
}
