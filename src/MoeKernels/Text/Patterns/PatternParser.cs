using MoeKernels.Text.Alignment;
using MoeKernels.Text.Unicode;

namespace MoeKernels.Text.Patterns;

/// <summary>Reads Oniguruma's Ruby syntax into a <see cref="PatternNode"/>.</summary>
/// <remarks>
/// What matching alone does not need is refused by name: back references, subexpression calls, conditionals, absent
/// operators and <c>\K</c>. Groups only group.
/// </remarks>
internal sealed class PatternParser
{
    private const int MaxDepth = 100;
    private const int MaxLength = 100_000;
    // Code points of the pattern, and where the reader stands in them.
    private readonly int[] _text;
    private readonly string _where;
    private int _position;
    private int _depth;
    // Options that rule at the position; they end with the group that set them.
    private Options _options;

    private PatternParser(string pattern, string where)
    {
        _text = CodePoints.Of(pattern);
        _where = where;
    }

    [Flags]
    private enum Options
    {
        None = 0,
        IgnoreCase = 1,
        DotAll = 2,
        Extended = 4,
    }

    private bool AtEnd => _position >= _text.Length;

    private bool IgnoreCase => (_options & Options.IgnoreCase) != 0;

    /// <exception cref="PatternException">The pattern is malformed.</exception>
    /// <exception cref="MoeUnsupportedException">The pattern uses a construct this matcher does not have.</exception>
    public static PatternNode Parse(string pattern, string where)
    {
        if (pattern.Length > MaxLength)
            throw new MoeUnsupportedException($"pattern of more than {MaxLength} characters", where);
        var parser = new PatternParser(pattern, where);
        var node = parser.ParseAlternatives();
        if (!parser.AtEnd)
            throw new PatternException("unmatched ')'");
        return node;
    }

    // alternatives := sequence ('|' sequence)*. The options of a group end with it.
    private PatternNode ParseAlternatives()
    {
        if (++_depth > MaxDepth)
            throw Unsupported($"pattern nested deeper than {MaxDepth}");
        var saved = _options;
        var alternatives = new List<PatternNode> { ParseSequence() };
        while (Accept('|'))
            alternatives.Add(ParseSequence());
        _options = saved;
        _depth--;
        return alternatives.Count == 1 ? alternatives[0] : new PatternNode.Either(alternatives);
    }

    // sequence := (atom quantifier*)*, up to the end of the group or alternative.
    private PatternNode ParseSequence()
    {
        var parts = new List<PatternNode>();
        while (!AtEnd && _text[_position] is not ('|' or ')'))
        {
            if (SkipIgnored())
                continue;
            if (ParseAtom() is { } atom)
                parts.Add(ParseQuantifiers(atom));
        }

        return JoinFolded(parts);
    }

    // Comments and, under (?x), white space.
    private bool SkipIgnored()
    {
        if ((_options & Options.Extended) == 0)
            return false;
        if (_text[_position] == '#')
        {
            while (!AtEnd && _text[_position] != '\n')
                _position++;
            return true;
        }

        if (_text[_position] is not (' ' or (>= '\t' and <= '\r')))
            return false;
        _position++;
        return true;
    }

    // Literals under (?i) are expanded as a run, since neighbours may fold together.
    private static PatternNode JoinFolded(List<PatternNode> parts)
    {
        var joined = new List<PatternNode>();
        var run = new List<int>();
        foreach (var part in parts)
        {
            if (part is PatternNode.Folded folded)
            {
                run.Add(folded.Char);
                continue;
            }

            Flush();
            joined.Add(part);
        }

        Flush();
        return joined.Count == 1 ? joined[0] : new PatternNode.Sequence(joined);

        void Flush()
        {
            if (run.Count > 0)
                joined.Add(CaseFolding.Expand(run));
            run.Clear();
        }
    }

    // One thing that can be repeated; null for a comment, which is nothing.
    private PatternNode? ParseAtom()
    {
        var c = _text[_position++];
        switch (c)
        {
            case '(':
                return ParseGroup();
            case '[':
                return ParseClass();
            case '.':
                var dotAll = (_options & Options.DotAll) != 0;
                return new PatternNode.One(dotAll ? CodePointSet.All : ClassParser.NotNewline);
            case '^':
                return new PatternNode.At(PositionTest.LineStart);
            case '$':
                return new PatternNode.At(PositionTest.LineEnd);
            case '\\':
                return ParseEscape();
            case '*' or '+' or '?':
                throw new PatternException($"nothing to repeat before '{(char)c}'");
            default:
                return LiteralNode(c);
        }
    }

    // A negated class takes one character always, so only others can match a folding of several.
    private PatternNode ParseClass()
    {
        var negated = !AtEnd && _text[_position] == '^';
        var set = ClassParser.Parse(_text, ref _position, IgnoreCase, _where);
        return IgnoreCase && !negated ? CaseFolding.ExpandClass(set) : new PatternNode.One(set);
    }

    // A literal stays unexpanded until its neighbours are known.
    private PatternNode LiteralNode(int c) => IgnoreCase ? new PatternNode.Folded(c) : PatternNode.Literal(c);

    // A quantifier binds to the last literal alone, and further ones repeat the repetition.
    private PatternNode ParseQuantifiers(PatternNode atom)
    {
        while (!AtEnd)
        {
            var c = _text[_position];
            var (min, max) = c switch { '*' => (0, -1), '+' => (1, -1), '?' => (0, 1), _ => (-1, -1) };
            var interval = false;
            if (min >= 0)
                _position++;
            else if (c != '{' || !TryParseInterval(out min, out max))
                return atom;
            else
                interval = true;
            if (atom is PatternNode.Folded folded)
                atom = CaseFolding.Expand([folded.Char]);
            atom = ApplyQuantifier(atom, min, max, interval);
        }

        return atom;
    }

    // The suffix decides how the repetition gives back: nothing greedy, ? lazy, + possessive.
    private PatternNode ApplyQuantifier(PatternNode atom, int min, int max, bool interval)
    {
        if (Accept('?'))
        {
            // In Ruby's syntax x{n}? means "x{n} or nothing", not a lazy repetition.
            return interval && min == max
                ? new PatternNode.Repeat(Simplify(atom, min, max, RepeatKind.Greedy), 0, 1, RepeatKind.Greedy)
                : Simplify(atom, min, max, RepeatKind.Lazy);
        }

        // x{n,m}+ is a repetition of x{n,m}: the next turn of the loop reads the '+'.
        return Simplify(atom, min, max, !interval && Accept('+') ? RepeatKind.Possessive : RepeatKind.Greedy);
    }

    private static PatternNode Simplify(PatternNode atom, int min, int max, RepeatKind kind) =>
        min == 1 && max == 1 ? atom : new PatternNode.Repeat(atom, min, max, kind);

    // {n}, {n,}, {,m}, {n,m}; anything else is a literal brace. Bounds in the wrong order swap, as in Ruby.
    private bool TryParseInterval(out int min, out int max)
    {
        var start = _position++;
        var low = ParseNumber();
        var high = low;
        if (Accept(','))
        {
            high = ParseNumber() ?? -1;
            low ??= high >= 0 ? 0 : null;
        }

        if (low is not { } lowest || !Accept('}'))
        {
            // Not an interval: the brace is a literal, read by the next call of ParseAtom.
            _position = start;
            (min, max) = (0, 0);
            return false;
        }

        (min, max) = (lowest, high!.Value);
        if (min > 100_000 || max > 100_000)
            throw new PatternException("repetition above 100,000");
        if (max >= 0 && max < min)
            (min, max) = (max, min);
        return true;
    }

    // Saturates, so that a long number cannot overflow before the limit is checked.
    private int? ParseNumber()
    {
        var start = _position;
        var value = 0;
        while (!AtEnd && _text[_position] is >= '0' and <= '9')
            value = Math.Min(1_000_000, 10 * value + _text[_position++] - '0');
        return _position == start ? null : value;
    }

    // After "(": every kind of group. Captures are plain groups, since nothing refers to them.
    private PatternNode? ParseGroup()
    {
        if (!Accept('?'))
            return Close(ParseAlternatives());
        if (AtEnd)
            throw new PatternException("unfinished group");
        var c = _text[_position++];
        switch (c)
        {
            case ':':
                return Close(ParseAlternatives());
            case '=' or '!':
                return Close(new PatternNode.Look(ParseAlternatives(), false, c == '!'));
            case '>':
                return Close(new PatternNode.Atomic(ParseAlternatives()));
            case '#':
                while (!AtEnd && _text[_position] != ')')
                    _position++;
                Close(PatternNode.Empty);
                return null;
            case '<' when !AtEnd && _text[_position] is '=' or '!':
                var negative = _text[_position++] == '!';
                return Close(new PatternNode.Look(ParseAlternatives(), true, negative));
            case '<' or '\'':
                SkipName(c == '<' ? '>' : '\'');
                return Close(ParseAlternatives());
            case '~':
                throw Unsupported("absent operator (?~...) in a pattern");
            case '(':
                throw Unsupported("conditional group (?(...)...) in a pattern");
            default:
                _position--;
                return ParseOptions();
        }
    }

    // (?imx-imx) or (?imx-imx:...).
    private PatternNode? ParseOptions()
    {
        var (options, on) = (_options, true);
        while (!AtEnd)
        {
            var c = _text[_position++];
            if (c == '-')
                on = false;
            else if (c == ')')
            {
                // (?i) rules to the end of the group around it, alternatives included.
                _options = options;
                return ParseRestOfGroup();
            }
            else if (c == ':')
            {
                var saved = _options;
                _options = options;
                var body = Close(ParseAlternatives());
                _options = saved;
                return body;
            }
            else
            {
                var option = c switch
                {
                    'i' => Options.IgnoreCase,
                    'm' => Options.DotAll,
                    'x' => Options.Extended,
                    _ => throw Unsupported($"group option (?{char.ConvertFromUtf32(c)}) in a pattern"),
                };
                options = on ? options | option : options & ~option;
            }
        }

        throw new PatternException("unfinished group");
    }

    private PatternNode ParseRestOfGroup() => ParseAlternatives();

    // The name of a group matters to back references only.
    private void SkipName(int end)
    {
        while (!AtEnd && _text[_position] != end)
            _position++;
        if (AtEnd)
            throw new PatternException("unfinished group name");
        _position++;
    }

    private PatternNode Close(PatternNode body) =>
        Accept(')') ? body : throw new PatternException("missing ')'");

    // After a backslash outside a class: a position, a set, a line break or one character.
    private PatternNode ParseEscape()
    {
        if (AtEnd)
            throw new PatternException("pattern ends in a backslash");
        var c = _text[_position];
        PositionTest? test = c switch
        {
            'A' => PositionTest.TextStart,
            'z' => PositionTest.TextEnd,
            'Z' => PositionTest.TextEndOrLastNewline,
            'G' => PositionTest.SearchStart,
            'b' => PositionTest.WordBoundary,
            'B' => PositionTest.NotWordBoundary,
            _ => null,
        };
        if (test is { } position)
        {
            _position++;
            return new PatternNode.At(position);
        }

        if (c is (>= '1' and <= '9') or 'k')
            throw Unsupported("back reference in a pattern");
        if (c is 'g' or 'K' or 'X' or 'y' or 'Y')
            throw Unsupported($"\\{(char)c} in a pattern");
        if (c == 'R')
        {
            _position++;
            return LineBreak();
        }

        if (ClassParser.TryParseClassEscape(_text, ref _position, IgnoreCase, _where) is { } set)
            return new PatternNode.One(set);
        return LiteralNode(ClassParser.ParseCharEscape(_text, ref _position));
    }

    // \R: CR LF as one, or any one line break.
    private static PatternNode.Atomic LineBreak() => new(new PatternNode.Either([
        new PatternNode.Sequence([PatternNode.Literal('\r'), PatternNode.Literal('\n')]),
        new PatternNode.One(CodePointSet.Of((0x0A, 0x0D), (0x85, 0x85), (0x2028, 0x2029))),
    ]));

    private bool Accept(int c)
    {
        if (AtEnd || _text[_position] != c)
            return false;
        _position++;
        return true;
    }

    private MoeUnsupportedException Unsupported(string feature) => new(feature, _where);
}
