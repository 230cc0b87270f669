namespace MoeKernels.Text.Templates;

/// <content>
/// Expressions, from loosest to tightest: inline if, or, and, not, comparisons, <c>+ -</c>, <c>~</c>,
/// <c>* / // %</c>, <c>**</c> (left-associative and looser than a sign, unlike Python), sign, postfix, filters.
/// </content>
internal sealed partial class TemplateParser
{
    // A chain of operators nests once per operator when it is evaluated.
    private const int MaxChain = 2000;

    private Expression ParseExpression(bool conditional = true)
    {
        Enter();
        Expression expression = conditional ? Conditional() : Or();
        _nesting--;
        return expression;
    }

    private Expression Conditional()
    {
        int line = Current.Line, mark = _unknown.Count, chain = 0;
        Expression value = Or();
        while (SkipName("if"))
        {
            Guard(ref chain);
            Expression test = Or();
            Expression? otherwise = SkipName("else") ? ParseExpression() : null;
            value = new ConditionalExpression(line, test, value, otherwise);
            SoftenUnknownSince(mark);
        }

        return value;
    }

    private void Guard(ref int chain)
    {
        if (++chain > MaxChain)
            throw Error($"an expression of more than {MaxChain} operators", Current.Line);
    }

    private Expression Or()
    {
        Expression left = And();
        for (int chain = 0; SkipName("or"); Guard(ref chain))
            left = new LogicalExpression(left, And(), isOr: true);
        return left;
    }

    private Expression And()
    {
        Expression left = Not();
        for (int chain = 0; SkipName("and"); Guard(ref chain))
            left = new LogicalExpression(left, Not(), isOr: false);
        return left;
    }

    private Expression Not()
    {
        if (!SkipName("not"))
            return Compare();
        Enter();
        var negated = new NotExpression(Not());
        _nesting--;
        return negated;
    }

    private Expression Compare()
    {
        Expression first = Sum();
        var operands = new List<(string Operator, Expression Right)>();
        while (ComparisonOperator() is { } op)
            operands.Add((op, Sum()));
        return operands.Count == 0 ? first : new CompareExpression(first, [.. operands]);
    }

    private string? ComparisonOperator()
    {
        Token token = Current;
        if (token.Kind == TokenKind.Operator && token.Text is "==" or "!=" or "<" or "<=" or ">" or ">=")
            return Next().Text;
        if (SkipName("in"))
            return "in";
        if (!token.IsName("not") || !_tokens[_at + 1].IsName("in"))
            return null;
        _at += 2;
        return "not in";
    }

    private Expression Sum()
    {
        Expression left = Concatenation();
        for (int chain = 0; Current.IsOperator("+") || Current.IsOperator("-"); Guard(ref chain))
            left = new BinaryExpression(left, Next().Text, Concatenation());
        return left;
    }

    private Expression Concatenation()
    {
        Expression first = Product();
        if (!Current.IsOperator("~"))
            return first;
        var parts = new List<Expression> { first };
        while (SkipOperator("~"))
            parts.Add(Product());
        return new ConcatenationExpression([.. parts]);
    }

    private Expression Product()
    {
        Expression left = Power();
        for (int chain = 0; IsProductOperator(Current); Guard(ref chain))
            left = new BinaryExpression(left, Next().Text, Power());
        return left;
    }

    private static bool IsProductOperator(Token token) =>
        token.Kind == TokenKind.Operator && token.Text is "*" or "/" or "//" or "%";

    private Expression Power()
    {
        Expression left = Unary(withFilter: true);
        for (int chain = 0; SkipOperator("**"); Guard(ref chain))
            left = new BinaryExpression(left, "**", Unary(withFilter: true));
        return left;
    }

    private Expression Unary(bool withFilter)
    {
        Expression node;
        if (Current.IsOperator("-") || Current.IsOperator("+"))
        {
            Enter();
            node = new SignExpression(Next().Text == "-", Unary(withFilter: false));
            _nesting--;
        }
        else
        {
            node = Primary(withNamespace: false);
        }

        node = Postfix(node);
        return withFilter ? FiltersAndTests(node) : node;
    }

    private Expression Primary(bool withNamespace)
    {
        Token token = Current;
        switch (token.Kind)
        {
            case TokenKind.Name:
                _at++;
                return NameOrConstant(token, withNamespace);
            case TokenKind.String:
                return StringConstant();
            case TokenKind.Integer or TokenKind.Float:
                _at++;
                return new ConstantExpression(token.Value);
        }

        if (token.IsOperator("("))
            return Parenthesized();
        if (token.IsOperator("["))
            return ListDisplay();
        if (token.IsOperator("{"))
            return DictDisplay();
        throw Error($"unexpected {PyRepr.Of(token.Describe())}", token.Line);
    }

    private Expression NameOrConstant(Token token, bool withNamespace)
    {
        switch (token.Text)
        {
            case "true" or "True":
                return new ConstantExpression(true);
            case "false" or "False":
                return new ConstantExpression(false);
            case "none" or "None":
                return new ConstantExpression(null);
        }

        NoteName(token.Text);
        if (withNamespace && SkipOperator("."))
            return new NamespaceTarget(token.Text, ExpectAnyName());
        return new NameExpression(token.Text);
    }

    private ConstantExpression StringConstant()
    {
        string text = (string)Next().Value!;
        if (Current.Kind != TokenKind.String)
            return new ConstantExpression(text);
        var joined = new System.Text.StringBuilder(text);
        while (Current.Kind == TokenKind.String)
            joined.Append((string)Next().Value!);
        return new ConstantExpression(joined.ToString());
    }

    private Expression Parenthesized()
    {
        _at++;
        Expression value = TupleOrExpression(conditional: true, [], parenthesized: true);
        ExpectOperator(")");
        return value;
    }

    private Expression TupleOrExpression(bool conditional, string[]? ends = null, bool parenthesized = false) =>
        CommaSeparated(ends ?? [], parenthesized, () => ParseExpression(conditional));

    private Expression CommaSeparated(string[] ends, bool parenthesized, Func<Expression> parse)
    {
        var items = new List<Expression>();
        bool tuple = false;
        while (!IsTupleEnd(ends))
        {
            items.Add(parse());
            if (!SkipOperator(","))
                break;
            tuple = true;
        }

        if (!tuple && items.Count == 1)
            return items[0];
        if (!tuple && !parenthesized)
            throw Error($"Expected an expression, got {PyRepr.Of(Current.Describe())}", Current.Line);
        return new TupleExpression([.. items]);
    }

    private bool IsTupleEnd(string[] ends) =>
        Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd || Current.IsOperator(")")
        || (Current.Kind == TokenKind.Name && ends.Contains(Current.Text));

    private Expression AssignTarget(string[] ends, bool withNamespace)
    {
        _inTarget = true;
        Expression target = CommaSeparated(ends, parenthesized: false, () => Primary(withNamespace));
        _inTarget = false;
        if (Targets.FirstInvalid(target) is { } invalid)
            throw Error($"can't assign to '{invalid}'", Current.Line);
        return target;
    }

    private ListExpression ListDisplay() => new(Items("[", "]", () => ParseExpression()));

    private DictExpression DictDisplay() => new(Items("{", "}", () =>
    {
        Expression key = ParseExpression();
        ExpectOperator(":");
        return (key, ParseExpression());
    }));

    private T[] Items<T>(string open, string close, Func<T> parse)
    {
        ExpectOperator(open);
        var items = new List<T>();
        while (!Current.IsOperator(close))
        {
            if (items.Count > 0)
                ExpectOperator(",");
            if (Current.IsOperator(close))
                break;
            items.Add(parse());
        }

        ExpectOperator(close);
        return [.. items];
    }
}
