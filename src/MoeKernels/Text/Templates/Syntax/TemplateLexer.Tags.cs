using System.Globalization;
using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <content>The inside of <c>{{ }}</c> and <c>{% %}</c>: names, literals and operators.</content>
internal sealed partial class TemplateLexer
{
    private void Tag(int from, bool variable)
    {
        Add(variable ? TokenKind.VariableBegin : TokenKind.BlockBegin, "");
        _position = from;
        _open.Clear();
        while (!TryEnd(variable) && _position < _source.Length)
        {
            int start = _position;
            char c = _source[start];
            if (PyText.IsSpace(c))
                MoveTo(SkipWhiteSpace(start), start);
            else if (char.IsAsciiDigit(c))
                Number();
            else if (IsWord(start, out _))
                Name();
            else if (c is '\'' or '"' && FindQuote(start) is int end and > 0)
                StringLiteral(end);
            else
                Operator();
        }
    }

    // Closing marks count only outside brackets, so that {{ {'a': {}} }} is one expression.
    private bool TryEnd(bool variable)
    {
        if (_open.Count > 0)
            return false;
        char sign = _position < _source.Length ? _source[_position] : '\0';
        bool signed = sign == '-' || (sign == '+' && !variable);
        int mark = _position + (signed ? 1 : 0);
        if (string.CompareOrdinal(_source, mark, variable ? "}}" : "%}", 0, 2) != 0)
            return false;
        Add(variable ? TokenKind.VariableEnd : TokenKind.BlockEnd, "");
        if (!variable)
            EndTag(signed ? sign : '\0', mark + 2, _position);
        else
            MoveTo(signed ? SkipWhiteSpace(mark + 2) : mark + 2, _position);
        return true;
    }

    private bool IsWord(int at, out int length)
    {
        length = 1;
        char c = _source[at];
        if (c == '_' || char.IsAsciiLetterOrDigit(c))
            return true;
        if (c < 128)
            return false;
        length = char.IsSurrogatePair(_source, at) ? 2 : 1;
        return length == 2
            ? PyChar.IsAlphanumeric(char.ConvertToUtf32(_source, at))
            : PyChar.IsAlphanumeric(c);
    }

    private void Name()
    {
        int end = _position;
        while (end < _source.Length && IsWord(end, out int length))
            end += length;
        string name = _source[_position..end];
        if (name[0] != '_' && !PyChar.IsAlpha(char.IsHighSurrogate(name[0]) ? char.ConvertToUtf32(name, 0) : name[0]))
            throw Error("Invalid character in identifier");
        Add(TokenKind.Name, name);
        Advance(end);
    }

    private void Advance(int end)
    {
        _lineStarting = false;
        _position = end;
    }

    private void Operator()
    {
        foreach (string op in Operators)
        {
            if (string.CompareOrdinal(_source, _position, op, 0, op.Length) != 0)
                continue;
            Balance(op[0]);
            Add(TokenKind.Operator, op);
            Advance(_position + op.Length);
            return;
        }

        string found = PyRepr.Of(PyText.First(_source.AsSpan(_position)));
        throw Error($"unexpected char {found} at {PyText.Length(_source.AsSpan(0, _position))}");
    }

    private void Balance(char op)
    {
        if (op is '(' or '[' or '{')
            _open.Push(op == '(' ? ')' : op == '[' ? ']' : '}');
        if (op is not (')' or ']' or '}'))
            return;
        if (!_open.TryPop(out char expected))
            throw Error($"unexpected '{op}'");
        if (expected != op)
            throw Error($"unexpected '{op}', expected '{expected}'");
    }

    private void Number()
    {
        int start = _position;
        if (_source[start] == '0' && Prefixed(start) is int digits and > 0)
        {
            int radix = char.ToLowerInvariant(_source[start + 1]) switch { 'b' => 2, 'o' => 8, _ => 16 };
            string text = Clean(start + 2, digits);
            Add(TokenKind.Integer, text, PyNumber.ParseInteger(text, radix));
            Advance(digits);
            return;
        }

        // A number after a dot is an index ("x.0.1"), never a fraction.
        int whole = Digits(start);
        int end = start > 0 && _source[start - 1] == '.' ? whole : Fraction(whole);
        if (end > whole)
        {
            string text = Clean(start, end);
            Add(TokenKind.Float, text, double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture));
        }
        else
        {
            end = _source[start] == '0' ? Zeros(start) : whole;
            string text = Clean(start, end);
            if (text.Length > PyNumber.MaxDigits)
                throw Error($"an integer of {text.Length} digits is too long");
            Add(TokenKind.Integer, text, BigInteger.Parse(text, CultureInfo.InvariantCulture));
        }

        Advance(end);
    }

    private string Clean(int start, int end) => _source[start..end].Replace("_", "", StringComparison.Ordinal);

    private int Prefixed(int start)
    {
        if (start + 1 >= _source.Length)
            return 0;
        char kind = char.ToLowerInvariant(_source[start + 1]);
        if (kind is not ('b' or 'o' or 'x'))
            return 0;
        int end = Run(start + 2, true, c => kind == 'b' ? c is '0' or '1'
            : kind == 'o' ? c is >= '0' and <= '7' : char.IsAsciiHexDigit(c));
        return end == start + 2 ? 0 : end;
    }

    private int Digits(int start) => Run(start, false, char.IsAsciiDigit);

    private int Zeros(int start) => Run(start, false, c => c == '0');

    /// <summary>End of a run of digits in which single underscores may separate (or, if asked, begin) groups.</summary>
    private int Run(int start, bool leadingUnderscore, Func<char, bool> digit)
    {
        int i = start;
        while (i < _source.Length)
        {
            bool separator = _source[i] == '_' && (i > start || leadingUnderscore);
            int next = separator ? i + 1 : i;
            if (next >= _source.Length || !digit(_source[next]))
                break;
            i = next + 1;
        }

        return i;
    }

    private int Fraction(int whole)
    {
        int end = whole;
        if (end + 1 < _source.Length && _source[end] == '.' && char.IsAsciiDigit(_source[end + 1]))
            end = Digits(end + 1);
        if (end < _source.Length && _source[end] is 'e' or 'E')
        {
            int digits = end + 1 + (end + 1 < _source.Length && _source[end + 1] is '+' or '-' ? 1 : 0);
            if (digits < _source.Length && char.IsAsciiDigit(_source[digits]))
                return Digits(digits);
        }

        return end;
    }

    private int FindQuote(int start)
    {
        for (int i = start + 1; i < _source.Length; i++)
        {
            if (_source[i] == '\\')
                i++;
            else if (_source[i] == _source[start])
                return i;
        }

        return 0;
    }

    private void StringLiteral(int end)
    {
        int start = _position;
        Add(TokenKind.String, "", Unescape(_source.AsSpan(start + 1, end - start - 1)));
        CountLines(_source.AsSpan(start, end - start));
        Advance(end + 1);
    }

    /// <summary>Python's <c>unicode-escape</c>: unknown escapes stay as they are.</summary>
    private string Unescape(ReadOnlySpan<char> text)
    {
        if (!text.Contains('\\'))
            return text.ToString();
        var result = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
                result.Append(text[i]);
            else
                i = Escape(text, i + 1, result);
        }

        return result.ToString();
    }

    /// <summary>Appends the escape whose letter is at <paramref name="at"/>; returns its last index.</summary>
    private int Escape(ReadOnlySpan<char> text, int at, StringBuilder result)
    {
        char c = text[at];
        int simple = "\\'\"abfnrtv".IndexOf(c, StringComparison.Ordinal);
        if (simple >= 0)
            result.Append("\\'\"\a\b\f\n\r\t\v"[simple]);
        else if (c is >= '0' and <= '7')
            return Octal(text, at, result);
        else if (c is 'x' or 'u' or 'U')
            return Hex(text, at, c == 'x' ? 2 : c == 'u' ? 4 : 8, result);
        else if (c == 'N')
            throw new MoeUnsupportedException("escapes by character name (\\N{...})", $"{_name}, line {_line}");
        else if (c >= 128)
            return EscapedNonAscii(text, at, result);
        else if (c != '\n')
            result.Append('\\').Append(c);
        return at;
    }

    // The reference turns the literal to ASCII first, so a backslash before such a character meets another one.
    private static int EscapedNonAscii(ReadOnlySpan<char> text, int at, StringBuilder result)
    {
        int code = PyText.CodeAt(text, at, out int used);
        result.Append('\\').Append(PyRepr.EscapeCode(code).AsSpan(1));
        return at + used - 1;
    }

    private static int Octal(ReadOnlySpan<char> text, int at, StringBuilder result)
    {
        int value = 0, i = at;
        for (; i < text.Length && i < at + 3 && text[i] is >= '0' and <= '7'; i++)
            value = (value * 8) + (text[i] - '0');
        result.Append((char)value);
        return i - 1;
    }

    private int Hex(ReadOnlySpan<char> text, int at, int digits, StringBuilder result)
    {
        var span = at + 1 + digits <= text.Length ? text.Slice(at + 1, digits) : default;
        if (!uint.TryParse(span, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint value))
            throw Error($"truncated \\{text[at]}{new string('X', digits)} escape");
        if (value > 0x10FFFF)
            throw Error("illegal Unicode character");
        PyText.Append(result, (int)value);
        return at + digits;
    }
}
