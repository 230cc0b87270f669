using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>
/// Python values as .NET objects: None is null, bool is bool, int is <see cref="BigInteger"/>, float is double,
/// str is string (or <see cref="Markup"/>), everything else has a class here.
/// </summary>
internal static class PyValue
{
    public static bool Truth(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        string text => text.Length > 0,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        PySequence sequence => sequence.Items.Length > 0,
        PyDict dict => dict.Count > 0,
        PyRange range => range.Length > 0,
        PyDictView view => view.Dict.Count > 0,
        Markup markup => markup.Text.Length > 0,
        LoopContext loop => loop.Length > 0,
        _ => true,
    };

    public static bool TryText(object? value, out string text)
    {
        text = value as string ?? (value as Markup)?.Text ?? "";
        return value is string or Markup;
    }

    /// <summary><c>str(value)</c>.</summary>
    public static string ToText(object? value) => value switch
    {
        string text => text,
        Markup markup => markup.Text,
        Undefined => "",
        _ => PyRepr.Of(value),
    };

    /// <summary><c>type(value).__name__</c>.</summary>
    public static string TypeName(object? value) => value switch
    {
        null => "NoneType",
        bool => "bool",
        string => "str",
        BigInteger => "int",
        double => "float",
        PyList => "list",
        PyGroup => "_GroupTuple",
        PyTuple => "tuple",
        PyDict => "dict",
        PyRange => "range",
        PySlice => "slice",
        PyDictView view => $"dict_{view.Part.ToString().ToLowerInvariant()}",
        PyIterator iterator => iterator.TypeName,
        NativeFunction { Owner: not null } => "builtin_function_or_method",
        NativeFunction => "function",
        PyNamespace => "Namespace",
        _ => value.GetType().Name,
    };

    /// <summary>How messages about undefined attributes call the owner.</summary>
    public static string Describe(object? value) => value switch
    {
        null => "None",
        PyNamespace or Cycler or Joiner => $"jinja2.utils.{TypeName(value)} object",
        LoopContext or Macro or Undefined or TemplateReference or BlockReference =>
            $"jinja2.runtime.{TypeName(value)} object",
        Markup => "markupsafe.Markup object",
        PyGroup => "jinja2.filters._GroupTuple object",
        _ => $"{TypeName(value)} object",
    };

    /// <summary><c>len(value)</c>.</summary>
    public static int Length(object? value) => TryLength(value)
        ?? throw PyError.Type($"object of type '{TypeName(value)}' has no len()");

    public static int? TryLength(object? value) => value switch
    {
        string text => PyText.Length(text),
        Markup markup => PyText.Length(markup.Text),
        PySequence sequence => sequence.Items.Length,
        PyDict dict => dict.Count,
        PyRange range => range.Length,
        PyDictView view => view.Dict.Count,
        LoopContext loop => loop.Length,
        Undefined => 0,
        _ => null,
    };
}
