using System.Text;

namespace MoeKernels.Text.Templates;

internal sealed class BinaryExpression(Expression left, string op, Expression right) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        object? value = left.Evaluate(state, scope);
        return PyArithmetic.Apply(op, value, right.Evaluate(state, scope));
    }
}

internal sealed class SignExpression(bool negative, Expression operand) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        return PyArithmetic.Sign(negative, operand.Evaluate(state, scope));
    }
}

internal sealed class NotExpression(Expression operand) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        return !PyValue.Truth(operand.Evaluate(state, scope));
    }
}

/// <summary><c>and</c> and <c>or</c> give one of their operands, not a boolean.</summary>
internal sealed class LogicalExpression(Expression left, Expression right, bool isOr) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        object? value = left.Evaluate(state, scope);
        return PyValue.Truth(value) == isOr ? value : right.Evaluate(state, scope);
    }
}

internal sealed class ConcatenationExpression(Expression[] parts) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        var result = new StringBuilder();
        foreach (Expression part in parts)
        {
            string text = PyValue.ToText(part.Evaluate(state, scope));
            Budget.ChargeText(text.Length);
            result.Append(text);
        }

        return result.ToString();
    }
}

/// <summary>A chain such as <c>1 &lt; x &lt;= 3</c>: neighbours are compared once, up to the first failure.</summary>
internal sealed class CompareExpression(Expression first, (string Operator, Expression Right)[] operands) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope)
    {
        Budget.Enter();
        object? left = first.Evaluate(state, scope);
        foreach ((string op, Expression operand) in operands)
        {
            object? right = operand.Evaluate(state, scope);
            if (!PyCompare.Apply(op, left, right))
                return false;
            left = right;
        }

        return true;
    }
}

/// <summary>Target <c>ns.name</c> of a set statement.</summary>
internal sealed class NamespaceTarget(string name, string attribute) : Expression
{
    public override object? Evaluate(RenderState state, Scope scope) => throw new InvalidOperationException();

    /// <summary>The namespace to change; asked for before the value is evaluated.</summary>
    public PyNamespace Find(Scope scope) => scope.Lookup(name) as PyNamespace
        ?? throw new PyError("TemplateRuntimeError", "cannot assign attribute on non-namespace object");

    public void Assign(Scope scope, object? value)
    {
        PyNamespace target = Find(scope);
        if (attribute.StartsWith('_'))
        {
            throw new PyError("SecurityError", "Chat templates cannot store underscore-prefixed attributes on a"
                + $" namespace, but got {PyRepr.Of(attribute)}. Please rename the attribute.");
        }

        target.Values[attribute] = value;
    }
}

/// <summary>What may stand left of an assignment: names, namespace attributes, and tuples of them.</summary>
internal static class Targets
{
    public static string? FirstInvalid(Expression target) => target switch
    {
        NameExpression or NamespaceTarget => null,
        TupleExpression tuple => tuple.Items.Select(FirstInvalid).FirstOrDefault(found => found is not null),
        ConstantExpression => "const",
        ListExpression => "list",
        DictExpression => "dict",
        _ => "expression",
    };

    public static IEnumerable<string> Names(Expression target) => target switch
    {
        NameExpression name => [name.Name],
        TupleExpression tuple => tuple.Items.SelectMany(Names),
        _ => [],
    };

    public static void CheckNamespaces(Expression target, Scope scope)
    {
        if (target is NamespaceTarget attribute)
            attribute.Find(scope);
        foreach (Expression item in target is TupleExpression tuple ? tuple.Items : [])
            CheckNamespaces(item, scope);
    }

    public static void Assign(Expression target, Scope scope, object? value)
    {
        switch (target)
        {
            case NameExpression name:
                scope.Set(name.Name, value);
                break;
            case NamespaceTarget attribute:
                attribute.Assign(scope, value);
                break;
            case TupleExpression tuple:
                Unpack(tuple.Items, scope, value);
                break;
        }
    }

    private static void Unpack(Expression[] targets, Scope scope, object? value)
    {
        if (!PyIterate.IsIterable(value))
            throw PyError.Type($"cannot unpack non-iterable {PyValue.TypeName(value)} object");
        List<object?> values = PyIterate.ToList(value);
        if (values.Count < targets.Length)
        {
            throw PyError.Value(
                $"not enough values to unpack (expected {targets.Length}, got {values.Count})");
        }

        if (values.Count > targets.Length)
            throw PyError.Value($"too many values to unpack (expected {targets.Length})");
        for (int i = 0; i < targets.Length; i++)
            Assign(targets[i], scope, values[i]);
    }
}
