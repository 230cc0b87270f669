namespace MoeKernels.Text.Templates;

/// <summary>The arguments of a call, filter or test as written.</summary>
internal sealed record ArgumentList(
    Expression[] Positional,
    (string Name, Expression Value)[] Named,
    Expression? Star,
    Expression? DoubleStar)
{
    public static readonly ArgumentList Empty = new([]);

    public ArgumentList(Expression[] positional)
        : this(positional, [], null, null)
    {
    }

    public Arguments Evaluate(RenderState state, Scope scope)
    {
        if (Positional.Length == 0 && Named.Length == 0 && Star is null && DoubleStar is null)
            return Arguments.Empty;
        var positional = new List<object?>(Positional.Length);
        foreach (Expression expression in Positional)
            positional.Add(expression.Evaluate(state, scope));
        if (Star is not null)
            positional.AddRange(PyIterate.Items(Star.Evaluate(state, scope)));
        var named = new PyDict();
        foreach ((string name, Expression value) in Named)
            AddNamed(named, name, value.Evaluate(state, scope));
        if (DoubleStar?.Evaluate(state, scope) is { } mapping)
        {
            foreach ((object? key, object? value) in PyDict.Require(mapping, "argument after ** must be a mapping"))
                AddNamed(named, key as string ?? throw PyError.Type("keywords must be strings"), value);
        }

        return new Arguments([.. positional], named);
    }

    private static void AddNamed(PyDict named, string name, object? value)
    {
        if (named.ContainsKey(name))
            throw PyError.Type($"got multiple values for keyword argument {PyRepr.Of(name)}");
        named[name] = value;
    }
}

/// <summary>Checks the order Python asks for: positional, <c>*</c>, named and <c>**</c> arguments.</summary>
internal sealed class ArgumentListBuilder
{
    private readonly List<Expression> _positional = [];
    private readonly List<(string Name, Expression Value)> _named = [];
    private Expression? _star;
    private Expression? _doubleStar;

    public bool AddPositional(Expression value)
    {
        _positional.Add(value);
        return _star is null && _doubleStar is null && _named.Count == 0;
    }

    public bool AddNamed(string name, Expression value)
    {
        _named.Add((name, value));
        return _doubleStar is null;
    }

    public bool AddStar(Expression value)
    {
        bool valid = _star is null && _doubleStar is null;
        _star = value;
        return valid;
    }

    public bool AddDoubleStar(Expression value)
    {
        bool valid = _doubleStar is null;
        _doubleStar = value;
        return valid;
    }

    public ArgumentList Build() => new([.. _positional], [.. _named], _star, _doubleStar);
}
