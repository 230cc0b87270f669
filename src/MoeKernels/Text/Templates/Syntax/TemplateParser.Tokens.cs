namespace MoeKernels.Text.Templates;

/// <content>Token handling, error messages, and the book-keeping of unknown filters and special names.</content>
internal sealed partial class TemplateParser
{
    private readonly List<MacroUses> _macros = [];
    private readonly List<(int Line, string Problem)> _unknown = [];
    private readonly List<(int Line, string Problem)> _failures = [];

    private readonly List<(NameLevel Level, Body Body)> _levels = [];
    private NameLevel _level = new(null);
    private bool _inTarget;

    private Token Next() => _tokens[_at++];

    private void Enter()
    {
        if (++_nesting > MaxNesting)
            throw Error($"nested more than {MaxNesting} levels deep", Current.Line);
    }

    private bool SkipName(string name)
    {
        bool found = Current.IsName(name);
        if (found)
            _at++;
        return found;
    }

    private bool SkipOperator(string op)
    {
        bool found = Current.IsOperator(op);
        if (found)
            _at++;
        return found;
    }

    private void Expect(TokenKind kind)
    {
        if (Current.Kind != kind)
            throw Expected(Token.Describe(kind));
        _at++;
    }

    private void ExpectOperator(string op)
    {
        if (!SkipOperator(op))
            throw Expected(op);
    }

    private void ExpectName(string name)
    {
        if (!SkipName(name))
            throw Expected(name);
    }

    private string ExpectAnyName()
    {
        if (Current.Kind != TokenKind.Name)
            throw Expected("name");
        return Next().Text;
    }

    private MoeFormatException Expected(string what) => Current.Kind == TokenKind.End
        ? Error($"unexpected end of template, expected {PyRepr.Of(what)}.", Current.Line)
        : Error($"expected token {PyRepr.Of(what)}, got {PyRepr.Of(Current.Describe())}", Current.Line);

    private MoeFormatException Error(string problem, int line) => new(_name, null, $"line {line}: {problem}");

    private MoeFormatException UnknownTag(string tag, int line)
    {
        bool nesting = _endTags.Any(ends => ends.Contains(tag));
        return TagError($"Encountered unknown tag {PyRepr.Of(tag)}.", nesting, line);
    }

    private MoeFormatException UnexpectedEnd(string[] ends)
    {
        _endTags.Add(ends);
        return TagError("Unexpected end of template.", nesting: false, Current.Line);
    }

    private MoeFormatException TagError(string start, bool nesting, int line)
    {
        string message = start;
        if (_endTags.Count > 0)
        {
            string looking = string.Join(" or ", _endTags[^1].Select(tag => PyRepr.Of(tag)));
            message += nesting
                ? " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for "
                    + looking + "."
                : $" Jinja was looking for the following tags: {looking}.";
        }

        if (_openTags.Count > 0)
            message += $" The innermost block that needs to be closed is {PyRepr.Of(_openTags[^1])}.";
        return Error(message, line);
    }

    // Jinja lets a template ask "'x' is filter" first: inside an if, an unknown name fails only when it is reached.
    private void NoteUnknown(int line, string problem) => _unknown.Add((line, problem));

    private void SoftenUnknownSince(int mark) => _unknown.RemoveRange(mark, _unknown.Count - mark);

    private void FailUnknownSince(int mark)
    {
        _failures.AddRange(_unknown.Skip(mark));
        SoftenUnknownSince(mark);
    }

    private void ReportUnknownNames()
    {
        FailUnknownSince(0);
        if (_failures.Count > 0)
            throw Error(_failures[0].Problem, _failures[0].Line);
    }

    private void OpenLevel() => _level = new NameLevel(_level);

    private void CloseLevel(Body body)
    {
        _levels.Add((_level, body));
        _level = _level.Parent ?? _level;
    }

    private void HideNames()
    {
        foreach ((NameLevel level, Body body) in _levels)
            body.Hidden = level.Hidden();
    }

    private void NoteStores(Expression target)
    {
        foreach (string name in Targets.Names(target))
            _level.Set(name);
    }

    private void NoteName(string name)
    {
        if (!_inTarget)
            _level.Read(name);
        MacroUses use = name switch
        {
            "caller" => MacroUses.Caller,
            "varargs" => MacroUses.VarArgs,
            "kwargs" => MacroUses.KwArgs,
            _ => MacroUses.None,
        };
        for (int i = 0; use != MacroUses.None && i < _macros.Count; i++)
            _macros[i] |= use;
    }
}
