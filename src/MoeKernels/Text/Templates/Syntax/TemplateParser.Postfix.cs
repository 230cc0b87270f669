namespace MoeKernels.Text.Templates;

/// <content>What follows a value: attributes, subscripts, calls, filters and tests.</content>
internal sealed partial class TemplateParser
{
    private Expression Postfix(Expression node)
    {
        for (int chain = 0; ; Guard(ref chain))
        {
            if (Current.IsOperator("."))
                node = Attribute(node);
            else if (Current.IsOperator("["))
                node = new ItemExpression(node, Subscript());
            else if (Current.IsOperator("("))
                node = Call(node);
            else
                return node;
        }
    }

    private Expression FiltersAndTests(Expression node)
    {
        for (int chain = 0; ; Guard(ref chain))
        {
            if (Current.IsOperator("|"))
                node = Filters(node);
            else if (Current.IsName("is"))
                node = Test(node);
            else if (Current.IsOperator("("))
                node = Call(node);
            else
                return node;
        }
    }

    private Expression Attribute(Expression node)
    {
        _at++;
        Token name = Next();
        return name.Kind switch
        {
            TokenKind.Name => new AttributeExpression(node, name.Text),
            TokenKind.Integer => new ItemExpression(node, new ConstantExpression(name.Value)),
            _ => throw Error("expected name or number", name.Line),
        };
    }

    private Expression Subscript()
    {
        ExpectOperator("[");
        var items = new List<Expression>();
        while (!Current.IsOperator("]"))
        {
            if (items.Count > 0)
                ExpectOperator(",");
            items.Add(SubscriptItem());
        }

        _at++;
        return items.Count == 1 ? items[0] : new TupleExpression([.. items]);
    }

    private Expression SubscriptItem()
    {
        Expression? start = Current.IsOperator(":") ? null : ParseExpression();
        if (start is not null && !Current.IsOperator(":"))
            return start;
        _at++;
        Expression? stop = SliceEnd() ? null : ParseExpression();
        Expression? step = SkipOperator(":") && !SliceEnd() ? ParseExpression() : null;
        return new SliceExpression(start, stop, step);
    }

    private bool SliceEnd() => Current.IsOperator(":") || Current.IsOperator("]") || Current.IsOperator(",");

    private CallExpression Call(Expression node) => new(Current.Line, node, CallArguments());

    private ArgumentList CallArguments()
    {
        int line = Current.Line;
        ExpectOperator("(");
        var list = new ArgumentListBuilder();
        for (bool first = true; !Current.IsOperator(")"); first = false)
        {
            if (!first)
                ExpectOperator(",");
            if (Current.IsOperator(")"))
                break;
            bool valid = SkipOperator("*") ? list.AddStar(ParseExpression())
                : SkipOperator("**") ? list.AddDoubleStar(ParseExpression())
                : Current.Kind == TokenKind.Name && _tokens[_at + 1].IsOperator("=") ? Keyword(list)
                : list.AddPositional(ParseExpression());
            if (!valid)
                throw Error("invalid syntax for function call expression", line);
        }

        _at++;
        return list.Build();
    }

    private bool Keyword(ArgumentListBuilder list)
    {
        string name = Next().Text;
        _at++;
        return list.AddNamed(name, ParseExpression());
    }

    /// <summary>A chain of filters; the innermost value is null in a filter block or a filtered set block.</summary>
    private FilterExpression Filters(Expression? node, bool inline = false)
    {
        for (int chain = 0; inline || SkipOperator("|"); Guard(ref chain))
        {
            inline = false;
            int line = Current.Line;
            string name = DottedName();
            ArgumentList arguments = Current.IsOperator("(") ? CallArguments() : ArgumentList.Empty;
            if (!FilterTable.Contains(name))
                NoteUnknown(line, $"No filter named {PyRepr.Of(name)}.");
            node = new FilterExpression(line, node, name, arguments);
        }

        return (FilterExpression)node!;
    }

    private string DottedName()
    {
        string name = ExpectAnyName();
        while (SkipOperator("."))
            name += "." + ExpectAnyName();
        return name;
    }

    private Expression Test(Expression node)
    {
        int line = Next().Line;
        bool negated = SkipName("not");
        string name = DottedName();
        ArgumentList arguments = Current.IsOperator("(") ? CallArguments()
            : StartsTestArgument() ? new ArgumentList([Postfix(Primary(withNamespace: false))])
            : ArgumentList.Empty;
        if (!TestTable.Contains(name))
            NoteUnknown(line, $"No test named {PyRepr.Of(name)}.");
        var test = new TestExpression(line, node, name, arguments);
        return negated ? new NotExpression(test) : test;
    }

    private bool StartsTestArgument()
    {
        if (Current.IsName("is"))
            throw Error("You cannot chain multiple tests with is", Current.Line);
        return Current.Kind switch
        {
            TokenKind.Name => Current.Text is not ("else" or "or" or "and"),
            TokenKind.String or TokenKind.Integer or TokenKind.Float => true,
            _ => Current.IsOperator("[") || Current.IsOperator("{"),
        };
    }
}
