namespace MoeKernels.Text.Templates;

/// <summary>A value that can be called.</summary>
internal interface ICallable
{
    object? Call(RenderState state, Arguments arguments);
}

/// <summary>A builtin function or bound method.</summary>
internal sealed class NativeFunction(string name, Func<RenderState, Arguments, object?> body, object? owner = null)
    : ICallable
{
    public string Name { get; } = name;

    public object? Owner { get; } = owner;

    public object? Call(RenderState state, Arguments arguments) => body(state, arguments);
}

internal static class PyCall
{
    public static object? Invoke(RenderState state, object? callee, Arguments arguments)
    {
        if (callee is Undefined undefined)
            throw undefined.Error();
        if (callee is not ICallable callable)
            throw PyError.Type($"'{PyValue.TypeName(callee)}' object is not callable");
        Budget.EnterCall();
        object? result = callable.Call(state, arguments);
        Budget.LeaveCall();
        return result;
    }
}
