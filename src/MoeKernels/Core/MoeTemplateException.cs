namespace MoeKernels;

/// <summary>
/// Rendering a chat template failed: the template called <c>raise_exception</c>, used a value in a way its type does
/// not allow, or exceeded the limits set for it.
/// </summary>
public sealed class MoeTemplateException : MoeException
{
    /// <summary>Creates the exception for one place in a template.</summary>
    /// <param name="errorType">Name of the error in the words of Python and Jinja (see
    /// <see cref="ErrorType"/>).</param>
    /// <param name="problem">The message alone, without template name or error type.</param>
    /// <param name="template">Name of the template, as given when it was parsed.</param>
    /// <param name="line">Line of the statement that failed, counted from 1; 0 when unknown.</param>
    public MoeTemplateException(string errorType, string problem, string template, int line)
        : base($"{template}, line {line}: {errorType}: {problem}")
    {
        ErrorType = errorType;
        Problem = problem;
        Template = template;
        Line = line;
    }

    /// <summary>
    /// Name of the error the reference implementation raises: <c>TemplateError</c> for <c>raise_exception</c>,
    /// <c>UndefinedError</c>, <c>SecurityError</c>, <c>TypeError</c>, <c>ValueError</c>, ...;
    /// <c>LimitError</c> when a limit of this library was reached.
    /// </summary>
    public string ErrorType { get; }

    /// <summary>The message alone, for example the argument of <c>raise_exception</c>.</summary>
    public string Problem { get; }

    /// <summary>Name of the template.</summary>
    public string Template { get; }

    /// <summary>Line of the failing statement, counted from 1; 0 when unknown.</summary>
    public int Line { get; }
}
