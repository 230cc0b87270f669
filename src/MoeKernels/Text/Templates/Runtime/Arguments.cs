namespace MoeKernels.Text.Templates;

/// <summary>Evaluated arguments of one call.</summary>
internal sealed class Arguments(object?[] positional, PyDict named)
{
    public static readonly Arguments Empty = new([], new PyDict());

    public Arguments(params object?[] positional)
        : this(positional, new PyDict())
    {
    }

    public object?[] Positional { get; } = positional;

    public PyDict Named { get; } = named;

    public int Count => Positional.Length + Named.Count;

    /// <summary>The same arguments without the first <paramref name="count"/> positional ones.</summary>
    public Arguments Skip(int count) => new(Positional[count..], Named);

    public Arguments With(string name, object? value)
    {
        var named = new PyDict(Named) { [name] = value };
        return new Arguments(Positional, named);
    }

    /// <summary>Positions the arguments by parameter name.</summary>
    /// <param name="function">Name for error messages.</param>
    /// <param name="required">How many of the first parameters must be given.</param>
    /// <param name="parameters">Parameter names in order.</param>
    public BoundArguments Bind(string function, int required, params string[] parameters)
    {
        if (Positional.Length > parameters.Length)
        {
            string range = required == parameters.Length ? $"{required}" : $"from {required} to {parameters.Length}";
            throw PyError.Type($"{function}() takes {range} positional arguments but {Positional.Length} were given");
        }

        var values = new object?[parameters.Length];
        Array.Fill(values, Missing.Value);
        Positional.CopyTo(values, 0);
        foreach ((object? key, object? value) in Named)
        {
            int at = Array.IndexOf(parameters, (string)key!);
            if (at < 0)
                throw PyError.Type($"{function}() got an unexpected keyword argument {PyRepr.Of(key)}");
            if (values[at] != Missing.Value)
                throw PyError.Type($"{function}() got multiple values for argument {PyRepr.Of(key)}");
            values[at] = value;
        }

        for (int i = 0; i < required; i++)
        {
            if (values[i] == Missing.Value)
                throw PyError.Type($"{function}() missing required argument: {PyRepr.Of(parameters[i])}");
        }

        return new BoundArguments(values);
    }

    /// <summary>Positional-only arguments, as builtin methods take them.</summary>
    public BoundArguments Take(string function, int required, int most)
    {
        if (Named.Count > 0)
            throw PyError.Type($"{function}() takes no keyword arguments");
        int given = Positional.Length;
        if (given < required)
            throw PyError.Type($"{function} expected at least {required} arguments, got {given}");
        if (given > most)
            throw PyError.Type($"{function} expected at most {most} arguments, got {given}");
        var values = new object?[most];
        Array.Fill(values, Missing.Value);
        Positional.CopyTo(values, 0);
        return new BoundArguments(values);
    }
}

/// <summary>Marks an argument that was not given; None is a value of its own.</summary>
internal sealed class Missing
{
    public static readonly Missing Value = new();
}

/// <summary>Arguments by parameter index, with Python's conversions.</summary>
internal readonly struct BoundArguments(object?[] values)
{
    public object? this[int index] => values[index];

    public bool Has(int index) => index < values.Length && values[index] != Missing.Value;

    /// <summary>Given and not None.</summary>
    public bool HasValue(int index) => Has(index) && values[index] is not null;

    public object? Or(int index, object? fallback) => Has(index) ? values[index] : fallback;

    public bool Flag(int index, bool fallback = false) => Has(index) ? PyValue.Truth(values[index]) : fallback;

    /// <summary>A flag that Python wants as an int or bool.</summary>
    public bool StrictFlag(int index) => Has(index) && !PyNumber.Integer(values[index]).IsZero;

    /// <summary>An index or count; saturated, because the reference would reject or clip far smaller values.</summary>
    public int Int(int index, int fallback) => HasValue(index) ? PyNumber.Index(values[index]) : fallback;

    public int Int(int index) => PyNumber.Index(values[index]);

    public string Text(int index) => PyValue.TryText(values[index], out string text)
        ? text
        : throw PyError.Type($"expected str, got {PyValue.TypeName(values[index])}");

    public string Text(int index, string fallback) => Has(index) ? Text(index) : fallback;
}
