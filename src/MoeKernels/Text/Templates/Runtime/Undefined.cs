namespace MoeKernels.Text.Templates;

/// <summary>
/// The result of a name or attribute that is not there: prints as nothing, is false and empty, and fails with a
/// message that says what was missing when it is used for anything else.
/// </summary>
internal sealed class Undefined
{
    private readonly Func<string> _message;
    private readonly string _errorType;

    private Undefined(Func<string> message, string errorType = "UndefinedError")
    {
        _message = message;
        _errorType = errorType;
    }

    public static Undefined Named(string name) => new(() => $"{PyRepr.Of(name)} is undefined");

    public static Undefined Because(string message) => new(() => message);

    public static Undefined Attribute(object? owner, object? name) => new(() => name is string
        ? $"{PyRepr.Of(PyValue.Describe(owner))} has no attribute {PyRepr.Of(name)}"
        : $"{PyValue.Describe(owner)} has no element {PyRepr.Of(name)}");

    public static Undefined Unsafe(object? owner, string name) => new(
        () => $"access to attribute {PyRepr.Of(name)} of {PyRepr.Of(PyValue.TypeName(owner))} object is unsafe.",
        "SecurityError");

    /// <summary>The error of using it.</summary>
    public PyError Error() => new(_errorType, _message());
}
