namespace MoeKernels.Text.Templates;

/// <summary>
/// Recursive-descent parser of chat templates: the statements. Grammar and precedence follow the public Jinja
/// documentation; what needs other templates (<c>include</c>, <c>import</c>, <c>extends</c>) is refused by name.
/// </summary>
internal sealed partial class TemplateParser
{
    // Deep enough for any real template, shallow enough for every thread's stack.
    private const int MaxNesting = 120;

    private readonly List<Token> _tokens;
    private readonly string _name;
    private readonly List<string> _openTags = [];
    private readonly List<string[]> _endTags = [];
    private readonly Dictionary<string, BlockStatement> _blocks = new(StringComparer.Ordinal);
    private int _at;
    private int _nesting;
    private int _loops;

    private TemplateParser(List<Token> tokens, string name)
    {
        _tokens = tokens;
        _name = name;
    }

    private Token Current => _tokens[_at];

    /// <summary>Parses a whole template.</summary>
    /// <exception cref="MoeFormatException">Syntax error, or a filter or test that does not exist.</exception>
    /// <exception cref="MoeUnsupportedException">A construct that needs other templates.</exception>
    public static TemplateSyntax Parse(string source, string name)
    {
        var parser = new TemplateParser(TemplateLexer.Tokenize(source, name), name);
        Body body = parser.Statements([]);
        parser.ReportUnknownNames();
        parser.CloseLevel(body);
        parser.HideNames();
        return new TemplateSyntax(name, body, parser._blocks);
    }

    private Body Statements(string[] ends)
    {
        Enter();
        var body = new List<Statement>();
        if (ends.Length > 0)
            _endTags.Add(ends);
        while (Current.Kind != TokenKind.End)
        {
            Token token = Next();
            if (token.Kind == TokenKind.Data)
                body.Add(new TextStatement(token.Line, token.Text));
            else if (token.Kind == TokenKind.VariableBegin)
                body.Add(Print(token.Line));
            else if (ends.Length > 0 && Current.Kind == TokenKind.Name && ends.Contains(Current.Text))
                break;
            else
                body.Add(BlockTag());
        }

        if (ends.Length > 0)
            _endTags.RemoveAt(_endTags.Count - 1);
        _nesting--;
        return new Body([.. body]);
    }

    private PrintStatement Print(int line)
    {
        Expression value = TupleOrExpression(conditional: true);
        Expect(TokenKind.VariableEnd);
        return new PrintStatement(line, [value]);
    }

    private Statement BlockTag()
    {
        Statement statement = ParseStatement();
        Expect(TokenKind.BlockEnd);
        return statement;
    }

    private Statement ParseStatement()
    {
        Token token = Current;
        if (token.Kind != TokenKind.Name)
            throw Error("tag name expected", token.Line);
        _openTags.Add(token.Text);
        _at++;
        Statement? statement = token.Text switch
        {
            "for" => For(token.Line),
            "if" => If(token.Line),
            "set" => Set(token.Line),
            "with" => With(token.Line),
            "macro" => Macro(token.Line),
            "call" => CallBlock(token.Line),
            "filter" => FilterBlock(token.Line),
            "generation" => Generation(token.Line),
            "print" => PrintTag(token.Line),
            "block" => Block(token.Line),
            "autoescape" => AutoEscape(token.Line),
            "break" or "continue" => LoopControl(token),
            "extends" or "include" or "import" or "from" =>
                throw new MoeUnsupportedException($"the template tag '{token.Text}'", $"{_name}, line {token.Line}"),
            _ => null,
        };
        _openTags.RemoveAt(_openTags.Count - 1);
        return statement ?? throw UnknownTag(token.Text, token.Line);
    }

    /// <summary>Body of a tag up to one of its end tags, which is left as the current token or consumed.</summary>
    private Body TagBody(string[] ends, bool consume)
    {
        SkipOperator(":");
        Expect(TokenKind.BlockEnd);
        Body body = Statements(ends);
        if (Current.Kind == TokenKind.End)
            throw UnexpectedEnd(ends);
        if (consume)
            _at++;
        return body;
    }

    /// <summary>Body that the reference compiles to a function of its own: no break or continue leaves it.</summary>
    private Body FunctionBody(string end, IEnumerable<string> parameters)
    {
        int loops = _loops;
        _loops = 0;
        Body body = HardBody(parameters, end);
        _loops = loops;
        return body;
    }

    /// <summary>Body with a scope of its own, in which unknown filters are errors at once.</summary>
    private Body HardBody(IEnumerable<string> ownNames, params string[] ends)
    {
        int mark = _unknown.Count;
        OpenLevel();
        foreach (string name in ownNames)
            _level.Read(name);
        Body body = TagBody(ends, consume: ends.Length == 1);
        CloseLevel(body);
        FailUnknownSince(mark);
        return body;
    }

    private ForStatement For(int line)
    {
        Expression target = AssignTarget(["in"], withNamespace: false);
        if (Targets.Names(target).Contains("loop"))
            throw Error("Can't assign to special loop variable in for-loop target", line);
        ExpectName("in");
        Expression items = TupleOrExpression(conditional: false, ["recursive"]);
        int mark = _unknown.Count;
        OpenLevel();
        Expression? test = SkipName("if") ? ParseExpression() : null;
        CloseLevel(new Body([]));
        FailUnknownSince(mark);
        bool recursive = SkipName("recursive");
        _loops++;
        Body body = HardBody(Targets.Names(target), "endfor", "else");
        _loops--;
        Body otherwise = Next().Text == "else" ? HardBody([], "endfor") : Body.Empty;
        return new ForStatement(line, target, items, test, recursive, body, otherwise);
    }

    private IfStatement If(int line)
    {
        int mark = _unknown.Count;
        var branches = new List<(Expression Test, Body Body)>();
        var otherwise = Body.Empty;
        string end;
        do
        {
            Expression test = TupleOrExpression(conditional: false);
            branches.Add((test, Branch(["elif", "else", "endif"], consume: false)));
            end = Next().Text;
        }
        while (end == "elif");
        if (end == "else")
            otherwise = Branch(["endif"], consume: true);
        SoftenUnknownSince(mark);
        return new IfStatement(line, [.. branches], otherwise);
    }

    private Body Branch(string[] ends, bool consume)
    {
        _level.Branches++;
        Body body = TagBody(ends, consume);
        _level.Branches--;
        return body;
    }

    private Statement Set(int line)
    {
        Expression target = AssignTarget([], withNamespace: true);
        if (SkipOperator("="))
        {
            Expression value = TupleOrExpression(conditional: true);
            NoteStores(target);
            return new SetStatement(line, target, value);
        }

        NoteStores(target);
        FilterExpression? filter = Current.IsOperator("|") ? Filters(null) : null;
        return new SetBlockStatement(line, target, filter, HardBody([], "endset"));
    }

    private WithStatement With(int line)
    {
        var bindings = new List<(Expression Target, Expression Value)>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (bindings.Count > 0)
                ExpectOperator(",");
            Expression target = AssignTarget([], withNamespace: false);
            ExpectOperator("=");
            bindings.Add((target, ParseExpression()));
        }

        IEnumerable<string> names = bindings.SelectMany(binding => Targets.Names(binding.Target));
        return new WithStatement(line, [.. bindings], HardBody(names, "endwith"));
    }

    private MacroStatement Macro(int line)
    {
        string name = ExpectAnyName();
        _level.Set(name);
        MacroSignature signature = Signature();
        Body body = MacroBody("endmacro", signature, out MacroUses uses);
        return new MacroStatement(line, new MacroDefinition(name, signature, body, uses));
    }

    private CallBlockStatement CallBlock(int line)
    {
        MacroSignature signature = Current.IsOperator("(") ? Signature() : MacroSignature.Empty;
        if (ParseExpression() is not CallExpression call)
            throw Error("expected call", line);
        Body body = MacroBody("endcall", signature, out MacroUses uses);
        var caller = new MacroDefinition(null, signature, body, uses);
        return new CallBlockStatement(line, call, caller);
    }

    private Body MacroBody(string end, MacroSignature signature, out MacroUses uses)
    {
        _macros.Add(MacroUses.None);
        Body body = FunctionBody(end, signature.Names);
        uses = _macros[^1];
        _macros.RemoveAt(_macros.Count - 1);
        return body;
    }

    private MacroSignature Signature()
    {
        var names = new List<string>();
        var defaults = new List<Expression>();
        ExpectOperator("(");
        OpenLevel();
        while (!Current.IsOperator(")"))
        {
            if (names.Count > 0)
                ExpectOperator(",");
            names.Add(ExpectAnyName());
            if (SkipOperator("="))
                defaults.Add(ParseExpression());
            else if (defaults.Count > 0)
                throw Error("non-default argument follows default argument", Current.Line);
            else if (names[^1] == "caller")
                throw Error("the special \"caller\" argument must be omitted or be given a default", Current.Line);
        }

        CloseLevel(new Body([]));
        _at++;
        return new MacroSignature([.. names], [.. defaults]);
    }

    private FilterBlockStatement FilterBlock(int line)
    {
        FilterExpression filter = Filters(null, inline: true);
        return new FilterBlockStatement(line, filter, HardBody([], "endfilter"));
    }

    private GenerationStatement Generation(int line)
    {
        Body body = MacroBody("endgeneration", MacroSignature.Empty, out MacroUses uses);
        return new GenerationStatement(line, new MacroDefinition(null, MacroSignature.Empty, body, uses));
    }

    private PrintStatement PrintTag(int line)
    {
        var values = new List<Expression>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (values.Count > 0)
                ExpectOperator(",");
            values.Add(ParseExpression());
        }

        return new PrintStatement(line, [.. values]);
    }

    private BlockStatement Block(int line)
    {
        string name = ExpectAnyName();
        bool scoped = SkipName("scoped");
        if (SkipName("required"))
            throw new MoeUnsupportedException("required template blocks", $"{_name}, line {line}");
        if (Current.IsOperator("-"))
            throw Error("Block names may not contain hyphens, use an underscore instead.", line);
        Body body = FunctionBody("endblock", []);
        SkipName(name);
        var block = new BlockStatement(line, name, scoped, body);
        if (!_blocks.TryAdd(name, block))
            throw Error($"block {PyRepr.Of(name)} defined twice", line);
        return block;
    }

    private AutoEscapeStatement AutoEscape(int line) =>
        new(line, _name, ParseExpression(), HardBody([], "endautoescape"));

    private LoopControlStatement LoopControl(Token token) => _loops > 0
        ? new LoopControlStatement(token.Line, token.Text == "break" ? Flow.Break : Flow.Continue)
        : throw Error($"'{token.Text}' outside loop", token.Line);
}
