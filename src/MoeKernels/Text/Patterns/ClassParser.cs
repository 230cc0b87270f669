using MoeKernels.Text.Alignment;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Patterns;

/// <summary>Reads bracketed character classes and escapes that stand for one character or a set of them.</summary>
internal static class ClassParser
{
    private const int MaxDepth = 100;

    public static CodePointSet NotNewline { get; } = CodePointSet.Single('\n').Negate();

    // In Ruby \h is a hexadecimal digit, not a horizontal space.
    private static readonly CodePointSet Hex = CodePointSet.Of(('0', '9'), ('A', 'F'), ('a', 'f'));

    /// <summary>Parses after the opening bracket, up to and with the closing one.</summary>
    public static CodePointSet Parse(int[] text, ref int position, bool ignoreCase, string where, int depth = 0)
    {
        if (depth > MaxDepth)
            throw new MoeUnsupportedException($"character class nested deeper than {MaxDepth}", where);
        var negate = Accept(text, ref position, '^');
        CodePointSet? intersection = null;
        var members = new List<(int, int)>();
        var first = true;
        while (true)
        {
            if (position >= text.Length)
                throw new PatternException("unfinished character class");
            if (text[position] == ']' && !(first && Array.IndexOf(text, ']', position + 1) >= 0))
                break;
            first = false;
            if (Accept(text, ref position, "&&"))
            {
                intersection = Meet(intersection, Finish(members, ignoreCase));
                members.Clear();
                continue;
            }

            if (TryParseSet(text, ref position, ignoreCase, where, depth) is { } set)
                members.AddRange(set.Pairs());
            else
                members.Add(ParseRange(text, ref position));
        }

        position++;
        var result = Meet(intersection, Finish(members, ignoreCase));
        return negate ? result.Negate() : result;
    }

    // Case variants are added before negation, so that (?i)[^a] excludes "A" as well.
    private static CodePointSet Finish(List<(int, int)> members, bool ignoreCase)
    {
        var set = CodePointSet.Of(members);
        return ignoreCase ? CaseFolding.Close(set) : set;
    }

    // a && b, where a is missing before the first operator.
    private static CodePointSet Meet(CodePointSet? a, CodePointSet b) => a is null ? b : a.Intersect(b);

    // A member that is a set itself: [:name:], a nested class or an escape; null if it is a character.
    private static CodePointSet? TryParseSet(int[] text, ref int position, bool ignoreCase, string where, int depth)
    {
        if (Accept(text, ref position, "[:") && TryParsePosix(text, ref position) is { } posix)
            return posix;
        if (Accept(text, ref position, '['))
            return Parse(text, ref position, ignoreCase, where, depth + 1);
        if (text[position] != '\\')
            return null;
        var start = position++;
        if (TryParseClassEscape(text, ref position, ignoreCase, where) is { } set)
            return set;
        position = start;
        return null;
    }

    // a or a-b; one character is a range of one.
    private static (int Low, int High) ParseRange(int[] text, ref int position)
    {
        var low = ParseMember(text, ref position);
        // A '-' before the closing bracket, a nested class or a set escape is a literal.
        if (position + 1 >= text.Length || text[position] != '-' || text[position + 1] is ']' or '['
            || IsSetEscape(text, position + 1))
            return (low, low);
        position++;
        var high = ParseMember(text, ref position);
        if (high < low)
            throw new PatternException("range out of order in a character class");
        return (low, high);
    }

    // Whether an escape stands for a set, before which a '-' makes no range.
    private static bool IsSetEscape(int[] text, int position) =>
        position + 1 < text.Length && text[position] == '\\'
        && text[position + 1] is 'd' or 'D' or 's' or 'S' or 'w' or 'W' or 'h' or 'H' or 'p' or 'P' or 'R';

    // One character of a class; inside brackets \b is a backspace.
    private static int ParseMember(int[] text, ref int position)
    {
        if (position >= text.Length)
            throw new PatternException("unfinished character class");
        var c = text[position++];
        if (c != '\\')
            return c;
        if (Accept(text, ref position, 'b'))
            return '\b';
        return ParseCharEscape(text, ref position);
    }

    /// <summary>Parses <c>\d \w \s \h \p{..}</c> and their opposites after the backslash; null if it is none.</summary>
    public static CodePointSet? TryParseClassEscape(int[] text, ref int position, bool ignoreCase, string where)
    {
        if (position >= text.Length)
            throw new PatternException("pattern ends in a backslash");
        var c = text[position];
        var set = c switch
        {
            'd' or 'D' => UnicodeTables.Category("Nd"),
            's' or 'S' => UnicodeTables.WhiteSpace,
            'w' or 'W' => UnicodeTables.Word,
            'h' or 'H' => Hex,
            'N' => NotNewline,
            'O' => CodePointSet.All,
            'p' or 'P' when position + 1 < text.Length && text[position + 1] == '{' =>
                ParseProperty(text, ref position, where),
            _ => null,
        };
        if (set is null)
            return null;
        position++;
        if (c is 'p' or 'P' && ignoreCase)
            set = CaseFolding.Close(set);
        return c is 'D' or 'S' or 'W' or 'H' or 'P' ? set.Negate() : set;
    }

    // Leaves the position on the closing brace.
    private static CodePointSet ParseProperty(int[] text, ref int position, string where)
    {
        var end = Array.IndexOf(text, '}', position);
        if (end < 0)
            throw new PatternException("unfinished \\p{...}");
        var name = CodePoints.ToText(text.AsSpan((position + 2)..end));
        var negate = name.StartsWith('^');
        position = end;
        var set = UnicodeTables.Property(name.TrimStart('^'))
            ?? Posix(name.TrimStart('^').ToLowerInvariant())
            ?? throw new MoeUnsupportedException($"character property \\p{{{name}}} in a pattern", where);
        return negate ? set.Negate() : set;
    }

    /// <summary>Parses an escape for one character after the backslash.</summary>
    public static int ParseCharEscape(int[] text, ref int position)
    {
        if (position >= text.Length)
            throw new PatternException("pattern ends in a backslash");
        var c = text[position++];
        switch (c)
        {
            case 't': return '\t';
            case 'n': return '\n';
            case 'r': return '\r';
            case 'f': return '\f';
            case 'v': return '\v';
            case 'a': return '\a';
            case 'e': return 0x1B;
            case 'u': return ParseDigits(text, ref position, 16, 4, 4);
            case '0': return ParseDigits(text, ref position, 8, 0, 2);
            case 'x' when position < text.Length && text[position] == '{':
                position++;
                var value = ParseDigits(text, ref position, 16, 1, 8);
                if (!Accept(text, ref position, '}'))
                    throw new PatternException("unfinished \\x{...}");
                return value;
            case 'x': return ParseDigits(text, ref position, 16, 0, 2);
            default: return c;
        }
    }

    // Up to max digits; fewer than min, or a value beyond Unicode, is malformed.
    private static int ParseDigits(int[] text, ref int position, int radix, int min, int max)
    {
        var value = 0L;
        var count = 0;
        while (count < max && position < text.Length && Digit(text[position]) is var digit && digit < radix)
        {
            value = value * radix + digit;
            position++;
            count++;
        }

        if (count < min || value > CodePointSet.MaxCodePoint)
            throw new PatternException("bad character code");
        return (int)value;
    }

    // Value of a digit; of anything else more than every radix.
    private static int Digit(int c) => c switch
    {
        >= '0' and <= '9' => c - '0',
        >= 'a' and <= 'f' => c - 'a' + 10,
        >= 'A' and <= 'F' => c - 'A' + 10,
        _ => int.MaxValue,
    };

    // name:] after "[:"; steps back before the brackets if it is no such thing.
    private static CodePointSet? TryParsePosix(int[] text, ref int position)
    {
        var end = position;
        while (end < text.Length && text[end] is '^' or (>= 'a' and <= 'z'))
            end++;
        if (end + 1 < text.Length && text[end] == ':' && text[end + 1] == ']')
        {
            var name = CodePoints.ToText(text.AsSpan(position..end));
            if (Posix(name.TrimStart('^')) is { } set)
            {
                position = end + 2;
                return name[0] == '^' ? set.Negate() : set;
            }
        }

        position -= 2;
        return null;
    }

    // POSIX brackets with their Unicode meaning; also the names \p{...} takes for them.
    private static CodePointSet? Posix(string name) => name switch
    {
        "alnum" => UnicodeTables.Alphabetic().Union(UnicodeTables.Category("Nd")!),
        "alpha" => UnicodeTables.Alphabetic(),
        "ascii" => CodePointSet.Of((0, 0x7F)),
        "blank" => UnicodeTables.Category("Zs")!.Union(CodePointSet.Single('\t')),
        "cntrl" => UnicodeTables.Category("Cc"),
        "digit" => UnicodeTables.Category("Nd"),
        "graph" => Graph(),
        "lower" => UnicodeTables.Property("lowercase"),
        "print" => Graph().Union(UnicodeTables.Category("Zs")!),
        // Oniguruma counts the nine ASCII symbols $+<=>^`|~ as punctuation here.
        "punct" => UnicodeTables.Category("P")!.Union(CodePointSet.Of(
            ('$', '$'), ('+', '+'), ('<', '>'), ('^', '^'), ('`', '`'), ('|', '|'), ('~', '~'))),
        "space" => UnicodeTables.WhiteSpace,
        "upper" => UnicodeTables.Property("uppercase"),
        "word" => UnicodeTables.Word,
        "xdigit" => Hex,
        _ => null,
    };

    // What leaves ink: all but white space, controls, surrogates and unassigned code points.
    private static CodePointSet Graph() => UnicodeTables.WhiteSpace.Union(UnicodeTables.Category("Cc")!)
        .Union(UnicodeTables.Category("Cn")!).Union(UnicodeTables.Category("Cs")!).Negate();

    private static bool Accept(int[] text, ref int position, int c)
    {
        if (position >= text.Length || text[position] != c)
            return false;
        position++;
        return true;
    }

    private static bool Accept(int[] text, ref int position, string two)
    {
        if (position + 1 >= text.Length || text[position] != two[0] || text[position + 1] != two[1])
            return false;
        position += 2;
        return true;
    }
}
