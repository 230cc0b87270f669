namespace MoeKernels.Text.Templates;

/// <summary>Special names a macro's body mentions; only then the macro accepts the extra arguments.</summary>
[Flags]
internal enum MacroUses
{
    None = 0,
    Caller = 1,
    VarArgs = 2,
    KwArgs = 4,
}

/// <summary>Parameters of a macro; the defaults belong to the last ones.</summary>
internal sealed record MacroSignature(string[] Names, Expression[] Defaults)
{
    public static readonly MacroSignature Empty = new([], []);

    public Expression? Default(int parameter)
    {
        int index = parameter - (Names.Length - Defaults.Length);
        return index < 0 ? null : Defaults[index];
    }
}

/// <summary>A macro as written; the name is null for the body of a call block.</summary>
internal sealed record MacroDefinition(string? Name, MacroSignature Signature, Body Body, MacroUses Uses);

internal sealed class MacroStatement(int line, MacroDefinition definition) : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        scope.Set(definition.Name!, new Macro(definition, scope));
        return Flow.Next;
    }
}

internal sealed class CallBlockStatement(int line, CallExpression call, MacroDefinition caller) : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        state.Line = Line;
        output.Write(PyValue.ToText(call.Evaluate(state, scope, new Macro(caller, scope))));
        return Flow.Next;
    }
}

/// <summary>
/// Marks what the assistant said: its span of the final text (in code points) goes to the caller. Inside a macro
/// the start is, as in the reference, the text already written outside.
/// </summary>
internal sealed class GenerationStatement(int line, MacroDefinition body) : Statement(line)
{
    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        string text = new Macro(body, scope).Call(state, Arguments.Empty);
        int start = state.Root.CodePoints;
        state.GenerationSpans.Add((start, start + PyText.Length(text)));
        output.Write(text);
        return Flow.Next;
    }
}

/// <summary>Without inheritance a block is rendered where it stands, seeing the top level only unless scoped.</summary>
internal sealed class BlockStatement(int line, string name, bool scoped, Body body) : Statement(line)
{
    public string Name { get; } = name;

    public override Flow Execute(RenderState state, Scope scope, Output output)
    {
        body.Execute(state, new Scope(scoped ? scope : scope.Top), output);
        return Flow.Next;
    }

    public string Render(RenderState state) => body.Capture(state, new Scope(state.Top), out _);
}
