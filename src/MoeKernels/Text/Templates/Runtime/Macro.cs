namespace MoeKernels.Text.Templates;

/// <summary>A macro with the scope it was defined in, which its body sees as it is at the time of the call.</summary>
internal sealed class Macro(MacroDefinition definition, Scope definedIn) : ICallable
{
    public MacroDefinition Definition { get; } = definition;

    private string[] Names => Definition.Signature.Names;

    private bool Uses(MacroUses use) => (Definition.Uses & use) != 0;

    object? ICallable.Call(RenderState state, Arguments arguments) => Call(state, arguments);

    public string Call(RenderState state, Arguments arguments)
    {
        var scope = new Scope(definedIn);
        var named = new PyDict(arguments.Named);
        bool explicitCaller = Names.Contains("caller");
        for (int i = 0; i < Names.Length; i++)
            scope.Set(Names[i], Parameter(i, state, scope, arguments, named));
        if (Uses(MacroUses.Caller) && !explicitCaller)
            scope.Set("caller", named.Remove("caller", out object? caller) ? caller : NoCaller());
        CheckNamed(named);
        if (Uses(MacroUses.KwArgs))
            scope.Set("kwargs", named);
        int given = arguments.Positional.Length;
        if (Uses(MacroUses.VarArgs))
            scope.Set("varargs", new PyTuple(arguments.Positional[Math.Min(given, Names.Length)..]));
        else if (given > Names.Length)
            throw PyError.Type($"macro {PyRepr.Of(Definition.Name)} takes not more than {Names.Length} argument(s)");
        return Definition.Body.Capture(state, scope, out _);
    }

    private static Undefined NoCaller() => Undefined.Because("No caller defined");

    private object? Parameter(int index, RenderState state, Scope scope, Arguments arguments, PyDict named)
    {
        if (index < arguments.Positional.Length)
            return arguments.Positional[index];
        if (named.Remove(Names[index], out object? value))
            return value;
        return Definition.Signature.Default(index) is { } expression
            ? expression.Evaluate(state, scope)
            : Undefined.Because($"parameter {PyRepr.Of(Names[index])} was not provided");
    }

    private void CheckNamed(PyDict named)
    {
        if (Uses(MacroUses.KwArgs) || named.Count == 0)
            return;
        string name = PyRepr.Of(Definition.Name);
        throw PyError.Type(named.ContainsKey("caller")
            ? $"macro {name} was invoked with two values for the special caller argument. This is most likely a bug."
            : $"macro {name} takes no keyword argument {PyRepr.Of(named.First().Key)}");
    }

    public object? GetAttribute(string name) => name switch
    {
        "name" => Definition.Name,
        "arguments" => new PyTuple([.. Names]),
        "catch_kwargs" => Uses(MacroUses.KwArgs),
        "catch_varargs" => Uses(MacroUses.VarArgs),
        "caller" => Uses(MacroUses.Caller),
        "explicit_caller" => Names.Contains("caller"),
        _ => Missing.Value,
    };
}
