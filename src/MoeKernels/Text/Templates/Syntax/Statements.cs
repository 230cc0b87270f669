using System.Text;

namespace MoeKernels.Text.Templates;

internal enum Flow
{
    Next,
    Break,
    Continue,
}

internal sealed record TemplateSyntax(string Name, Body Body, IReadOnlyDictionary<string, BlockStatement> Blocks);

internal abstract class Statement(int line)
{
    protected int Line { get; } = line;

    public abstract Flow Execute(RenderState state, Scope scope, Output output);
}

/// <summary>Statements in order; stops at the first break or continue.</summary>
internal sealed class Body(Statement[] statements)
{
    public static readonly Body Empty = new([]);

    /// <summary>Names of the scope that are undefined until the body sets them.</summary>
    public string[] Hidden { get; set; } = [];

    public Flow Execute(RenderState state, Scope scope, Output output)
    {
        Budget.Enter();
        foreach (string name in Hidden)
            scope.Hide(name);
        foreach (Statement statement in statements)
        {
            Flow flow = statement.Execute(state, scope, output);
            if (flow != Flow.Next)
                return flow;
        }

        return Flow.Next;
    }

    /// <summary>Runs the body into a string; break and continue pass through <paramref name="flow"/>.</summary>
    public string Capture(RenderState state, Scope scope, out Flow flow)
    {
        var output = new Output(new StringBuilder());
        flow = Execute(state, scope, output);
        return output.ToString();
    }
}

internal sealed class TextStatement(int line, string text) : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        output.Write(text);
        return Flow.Next;
    }
}

internal sealed class PrintStatement(int line, Expression[] values) : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        foreach (Expression value in values)
        {
            state.Line = Line;
            output.Write(PyValue.ToText(value.Evaluate(state, scope)));
        }

        return Flow.Next;
    }
}

internal sealed class SetStatement(int line, Expression target, Expression value) : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        state.Line = Line;
        Targets.CheckNamespaces(target, scope);
        Targets.Assign(target, scope, value.Evaluate(state, scope));
        return Flow.Next;
    }
}

internal sealed class SetBlockStatement(int line, Expression target, FilterExpression? filter, Body body)
    : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        state.Line = Line;
        var inner = new Scope(scope);
        object? value = body.Capture(state, inner, out Flow flow);
        if (flow != Flow.Next)
            return flow;
        Targets.Assign(target, scope, filter is null ? value : filter.Evaluate(state, inner, value));
        return Flow.Next;
    }
}

internal sealed class IfStatement(int line, (Expression Test, Body Body)[] branches, Body otherwise)
    : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        foreach ((Expression test, Body body) in branches)
        {
            state.Line = Line;
            if (PyValue.Truth(test.Evaluate(state, scope)))
                return body.Execute(state, scope, output);
        }

        return otherwise.Execute(state, scope, output);
    }
}

internal sealed class WithStatement(int line, (Expression Target, Expression Value)[] bindings, Body body)
    : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        state.Line = Line;
        var inner = new Scope(scope);
        foreach ((Expression target, Expression value) in bindings)
            Targets.Assign(target, inner, value.Evaluate(state, scope));
        return body.Execute(state, inner, output);
    }
}

internal sealed class FilterBlockStatement(int line, FilterExpression filter, Body body) : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        state.Line = Line;
        var inner = new Scope(scope);
        string text = body.Capture(state, inner, out Flow flow);
        if (flow == Flow.Next)
            output.Write(PyValue.ToText(filter.Evaluate(state, inner, text)));
        return flow;
    }
}

internal sealed class LoopControlStatement(int line, Flow flow) : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output) => flow;
}

/// <summary>
/// Chat templates are never HTML; a template that asks for escaping would come out wrong, so it fails.
/// </summary>
internal sealed class AutoEscapeStatement(int line, string template, Expression enabled, Body body)
    : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        if (PyValue.Truth(enabled.Evaluate(state, scope)))
            throw new MoeUnsupportedException("autoescape", $"{template}, line {Line}");
        return body.Execute(state, new Scope(scope), output);
    }
}
