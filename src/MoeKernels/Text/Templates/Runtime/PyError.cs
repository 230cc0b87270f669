namespace MoeKernels.Text.Templates;

/// <summary>An error while rendering, by its Python name; the renderer turns it into a MoeTemplateException.</summary>
internal sealed class PyError(string type, string problem) : Exception(problem)
{
    public string ErrorType { get; } = type;

    public static PyError Type(string problem) => new("TypeError", problem);

    public static PyError Value(string problem) => new("ValueError", problem);

    public static PyError Filter(string problem) => new("FilterArgumentError", problem);

    public static PyError Operands(string op, object? left, object? right) => Type(
        $"unsupported operand type(s) for {op}: '{PyValue.TypeName(left)}' and '{PyValue.TypeName(right)}'");
}
