namespace MoeKernels.Text.Templates;

/// <summary>A parsed expression; evaluating one costs a step of the budget.</summary>
internal abstract class Expression
{
    public abstract object? Evaluate(RenderState state, Scope scope);
}

internal sealed class ConstantExpression(object? value) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope) => value;
}

internal sealed class NameExpression(string name) : Expression
{
    public string Name { get; } = name;

    public override object? Evaluate(RenderState state, Scope scope) => scope.Lookup(Name);
}

internal sealed class TupleExpression(Expression[] items) : Expression
{
    public Expression[] Items { get; } = items;

    public override object? Evaluate(RenderState state, Scope scope) =>
        new PyTuple(ListExpression.EvaluateAll(Items, state, scope));
}

internal sealed class ListExpression(Expression[] items) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope) =>
        new PyList(EvaluateAll(items, state, scope));

    public static object?[] EvaluateAll(Expression[] items, RenderState state, Scope scope)
    {
        Budget.Enter();
        Budget.ChargeItems(items.Length + 1);
        var values = new object?[items.Length];
        for (int i = 0; i < items.Length; i++)
            values[i] = items[i].Evaluate(state, scope);
        return values;
    }
}

internal sealed class DictExpression((Expression Key, Expression Value)[] items) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        Budget.ChargeItems(2);
        var dict = new PyDict();
        foreach ((Expression key, Expression value) in items)
            dict[key.Evaluate(state, scope)] = value.Evaluate(state, scope);
        return dict;
    }
}

internal sealed class AttributeExpression(Expression target, string name) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        return PyAttribute.GetAttribute(target.Evaluate(state, scope), name);
    }
}

internal sealed class ItemExpression(Expression target, Expression key) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        object? value = target.Evaluate(state, scope);
        object? index = key.Evaluate(state, scope);
        return index is PySlice slice ? PyAttribute.GetSlice(value, slice) : PyAttribute.GetItem(value, index);
    }
}

internal sealed class SliceExpression(Expression? start, Expression? stop, Expression? step) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope) => new PySlice(
        start?.Evaluate(state, scope), stop?.Evaluate(state, scope), step?.Evaluate(state, scope));
}

internal sealed class ConditionalExpression(int line, Expression test, Expression value, Expression? otherwise)
    : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        if (PyValue.Truth(test.Evaluate(state, scope)))
            return value.Evaluate(state, scope);
        return otherwise is not null
            ? otherwise.Evaluate(state, scope)
            : Undefined.Because($"the inline if-expression on line {line} evaluated to false and no else section"
                + " was defined.");
    }
}

internal sealed class CallExpression(int line, Expression callee, ArgumentList arguments) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope) => Evaluate(state, scope, null);

    /// <summary>Calls with the caller of a call block as one more named argument.</summary>
    public object? Evaluate(RenderState state, Scope scope, Macro? caller)
    {
        Budget.Enter();
        object? function = callee.Evaluate(state, scope);
        Arguments values = arguments.Evaluate(state, scope);
        state.Line = line;
        return PyCall.Invoke(state, function, caller is null ? values : values.With("caller", caller));
    }
}

internal sealed class FilterExpression(int line, Expression? target, string name, ArgumentList arguments)
    : Expression
{
    public override object? Evaluate(RenderState state, Scope scope) => Evaluate(state, scope, null);

    /// <summary>
    /// Evaluates the chain; the innermost filter without a target applies to <paramref name="body"/>.
    /// </summary>
    public object? Evaluate(RenderState state, Scope scope, object? body)
    {
        Budget.Enter();
        object? value = target switch
        {
            null => body,
            FilterExpression inner => inner.Evaluate(state, scope, body),
            _ => target.Evaluate(state, scope),
        };
        Arguments values = arguments.Evaluate(state, scope);
        state.Line = line;
        return FilterTable.Apply(state, name, value, values);
    }
}

internal sealed class TestExpression(int line, Expression target, string name, ArgumentList arguments) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        object? value = target.Evaluate(state, scope);
        Arguments values = arguments.Evaluate(state, scope);
        state.Line = line;
        return TestTable.Apply(name, value, values);
    }
}
