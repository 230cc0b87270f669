using System.Text;

namespace MoeKernels.Text.Templates;

internal sealed class ForStatement(
    int line, Expression target, Expression items, Expression? test, bool recursive, Body body, Body otherwise)
    : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        state.Line = Line;
        Run(state, scope, output, items.Evaluate(state, scope), depth: 0);
        return Flow.Next;
    }

    private void Run(RenderState state, Scope scope, Output output, object? iterable, int depth)
    {
        List<object?> values = PyIterate.ToList(iterable);
        if (test is not null)
            values = Select(test, state, scope, values);
        var loop = new LoopContext(values, depth);
        if (recursive)
            loop.Recurse = inner => Recurse(state, scope, inner, depth + 1);
        bool completed = false;
        while (loop.MoveNext())
        {
            // Every iteration has a scope of its own: what it sets is gone in the next one.
            var inner = new Scope(scope);
            Targets.Assign(target, inner, loop.Item);
            inner.Set("loop", loop);
            Flow flow = body.Execute(state, inner, output);
            completed |= flow == Flow.Next;
            if (flow == Flow.Break)
                break;
        }

        // As in the reference, iterations cut short by break or continue do not count here.
        if (!completed)
            otherwise.Execute(state, new Scope(scope), output);
    }

    private List<object?> Select(Expression condition, RenderState state, Scope scope, List<object?> values)
    {
        var selected = new List<object?>();
        foreach (object? value in values)
        {
            var inner = new Scope(scope);
            Targets.Assign(target, inner, value);
            if (PyValue.Truth(condition.Evaluate(state, inner)))
                selected.Add(value);
        }

        return selected;
    }

    private string Recurse(RenderState state, Scope scope, object? iterable, int depth)
    {
        var output = new Output(new StringBuilder());
        Run(state, scope, output, iterable, depth);
        return output.ToString();
    }
}
