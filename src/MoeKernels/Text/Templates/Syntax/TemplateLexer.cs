using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>
/// Splits a template into tokens with the white-space rules of chat templates: <c>trim_blocks</c> (one newline after
/// a block tag or comment goes), <c>lstrip_blocks</c> (blanks before a block tag that starts its line go), explicit
/// <c>-</c> and <c>+</c> signs, and one trailing newline of the source dropped.
/// </summary>
internal sealed partial class TemplateLexer
{
    // Far above any shipped template (the longest have about 50,000 characters), far below trouble.
    private const int MaxSourceLength = 4 << 20;

    private static readonly string[] Operators =
    [
        "//", "**", "==", "!=", ">=", "<=",
        "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
    ];

    private readonly string _source;
    private readonly string _name;
    private readonly List<Token> _tokens = [];
    private readonly Stack<char> _open = new();
    private int _position;
    private int _line = 1;
    private bool _lineStarting = true;

    private TemplateLexer(string source, string name)
    {
        _source = source;
        _name = name;
    }

    /// <summary>Tokens of <paramref name="source"/>, ended by one <see cref="TokenKind.End"/>.</summary>
    /// <exception cref="MoeFormatException">The source holds an unknown character or an unclosed tag.</exception>
    public static List<Token> Tokenize(string source, string name)
    {
        if (source.Length > MaxSourceLength)
            throw new MoeFormatException(name, null, $"a template of {source.Length} characters is too long");
        string text = NormalizeNewlines(source);
        var lexer = new TemplateLexer(text.EndsWith('\n') ? text[..^1] : text, name);
        lexer.Root();
        lexer.Add(TokenKind.End, "");
        return lexer._tokens;
    }

    private static string NormalizeNewlines(string text) =>
        text.Contains('\r') ? text.Replace("\r\n", "\n").Replace('\r', '\n') : text;

    private void Root()
    {
        while (_position < _source.Length)
        {
            int tag = FindTag(_position);
            if (tag < 0)
            {
                AddData(_source[_position..]);
                _position = _source.Length;
                return;
            }

            char kind = _source[tag + 1];
            int after = tag + 2;
            int sign = after < _source.Length && _source[after] is '-' or '+' ? _source[after++] : 0;
            string text = _source[_position..tag];
            AddData(Strip(text, sign, kind != '{'));
            CountLines(text);
            _lineStarting = false;
            if (kind == '%' && TryRawBegin(after))
                Raw();
            else if (kind == '#')
                Comment(after);
            else
                Tag(after, kind == '{');
        }
    }

    private int FindTag(int from)
    {
        for (int i = _source.IndexOf('{', from); i >= 0 && i + 1 < _source.Length; i = _source.IndexOf('{', i + 1))
        {
            if (_source[i + 1] is '%' or '{' or '#')
                return i;
        }

        return -1;
    }

    /// <summary>Applies <c>-</c> or, where allowed, <c>lstrip_blocks</c> to the text before a tag.</summary>
    private string Strip(string text, int sign, bool lstrip)
    {
        if (sign == '-')
            return PyText.TrimEnd(text);
        if (sign == '+' || !lstrip)
            return text;
        int lineStart = text.LastIndexOf('\n') + 1;
        bool startsLine = lineStart > 0 || _lineStarting;
        return startsLine && PyText.TrimEnd(text[lineStart..]).Length == 0 ? text[..lineStart] : text;
    }

    private void Comment(int from)
    {
        int end = _source.IndexOf("#}", from, StringComparison.Ordinal);
        if (end < 0)
        {
            if (from < _source.Length)
                throw Error("Missing end of comment tag");
            _position = from;
            return;
        }

        EndTag(end > from ? _source[end - 1] : '\0', end + 2, _position = from);
    }

    /// <summary>
    /// Ends a block tag or comment: <c>-</c> eats all white space after it, nothing eats one newline.
    /// </summary>
    private void EndTag(char sign, int end, int lineFrom)
    {
        if (sign == '-')
            end = SkipWhiteSpace(end);
        else if (sign != '+' && end < _source.Length && _source[end] == '\n')
            end++;
        MoveTo(end, lineFrom);
    }

    private void MoveTo(int end, int lineFrom)
    {
        CountLines(_source.AsSpan(lineFrom, end - lineFrom));
        _lineStarting = end > 0 && _source[end - 1] == '\n';
        _position = end;
    }

    private bool TryRawBegin(int from)
    {
        int i = SkipWhiteSpace(from);
        if (string.CompareOrdinal(_source, i, "raw", 0, 3) != 0)
            return false;
        i = SkipWhiteSpace(i + 3);
        bool strip = i < _source.Length && _source[i] == '-';
        if (strip)
            i++;
        if (string.CompareOrdinal(_source, i, "%}", 0, 2) != 0)
            return false;
        // A raw tag is no block tag for trim_blocks: the newline after it stays.
        MoveTo(strip ? SkipWhiteSpace(i + 2) : i + 2, from);
        return true;
    }

    private void Raw()
    {
        int from = _position;
        for (int tag = FindBlock(from); tag >= 0; tag = FindBlock(tag + 2))
        {
            int i = tag + 2;
            int sign = i < _source.Length && _source[i] is '-' or '+' ? _source[i++] : 0;
            i = SkipWhiteSpace(i);
            if (string.CompareOrdinal(_source, i, "endraw", 0, 6) != 0)
                continue;
            i = SkipWhiteSpace(i + 6);
            char endSign = i < _source.Length && _source[i] is '-' or '+' ? _source[i++] : '\0';
            if (string.CompareOrdinal(_source, i, "%}", 0, 2) != 0)
                continue;
            AddData(Strip(_source[from..tag], sign, lstrip: true));
            EndTag(endSign, i + 2, from);
            return;
        }

        if (from < _source.Length)
            throw Error("Missing end of raw directive");
    }

    private int FindBlock(int from) =>
        from <= _source.Length ? _source.IndexOf("{%", from, StringComparison.Ordinal) : -1;

    private int SkipWhiteSpace(int from)
    {
        while (from < _source.Length && PyText.IsSpace(_source[from]))
            from++;
        return from;
    }

    private void AddData(string text)
    {
        if (text.Length > 0)
            Add(TokenKind.Data, text);
    }

    private void Add(TokenKind kind, string text, object? value = null) =>
        _tokens.Add(new Token(kind, text, value, _line));

    private void CountLines(ReadOnlySpan<char> text) => _line += text.Count('\n');

    private MoeFormatException Error(string problem) => new(_name, null, $"line {_line}: {problem}");
}
