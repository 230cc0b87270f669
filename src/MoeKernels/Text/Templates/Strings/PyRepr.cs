using System.Globalization;
using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary><c>repr(value)</c>.</summary>
internal static class PyRepr
{
    public static string Of(object? value)
    {
        switch (value)
        {
            case string text:
                return Quote(text);
            case BigInteger integer:
                return PyNumber.ToText(integer);
            case double number:
                return Float(number);
            case null:
                return "None";
            case bool flag:
                return flag ? "True" : "False";
        }

        var result = new StringBuilder();
        Write(result, value);
        return result.ToString();
    }

    private static void Write(StringBuilder result, object? value)
    {
        Budget.Enter();
        switch (value)
        {
            case PyList list:
                WriteAll(result, "[", list.Items, "]");
                break;
            case PyTuple tuple:
                WriteAll(result, "(", tuple.Items, tuple.Items.Length == 1 ? ",)" : ")");
                break;
            case PyDict dict:
                WriteDict(result, dict);
                break;
            case PyDictView view:
                WriteAll(result, $"{PyValue.TypeName(view)}([", view.Items(), "])");
                break;
            case PyNamespace names:
                WriteDict(result.Append("<Namespace "), names.Values);
                result.Append('>');
                break;
            case Markup markup:
                result.Append("Markup(").Append(Quote(markup.Text)).Append(')');
                break;
            case PySlice slice:
                WriteAll(result, "slice(", [slice.Start, slice.Stop, slice.Step], ")");
                break;
            default:
                string text = Simple(value);
                Budget.ChargeText(text.Length);
                result.Append(text);
                break;
        }
    }

    private static string Simple(object? value) => value switch
    {
        PyRange range when range.Step.IsOne => $"range({range.Start}, {range.Stop})",
        PyRange range => $"range({range.Start}, {range.Stop}, {range.Step})",
        Undefined => "Undefined",
        LoopContext loop => $"<LoopContext {Of(loop.GetAttribute("index"))}/{loop.Length}>",
        Macro { Definition.Name: null } => "<Macro anonymous>",
        Macro macro => $"<Macro {Of(macro.Definition.Name)}>",
        NativeFunction { Owner: null } function => $"<function {function.Name}>",
        NativeFunction method =>
            $"<built-in method {method.Name} of {PyValue.TypeName(method.Owner)} object>",
        // The reference prints an address here; a fixed text keeps rendering deterministic.
        null or string or BigInteger or double or bool => Of(value),
        _ => $"<{PyValue.TypeName(value)} object>",
    };

    private static void WriteAll(StringBuilder result, string open, IEnumerable<object?> items, string close)
    {
        result.Append(open);
        bool first = true;
        foreach (object? item in items)
        {
            if (!first)
                result.Append(", ");
            first = false;
            Budget.ChargeText(2);
            Write(result, item);
        }

        result.Append(close);
    }

    private static void WriteDict(StringBuilder result, PyDict dict)
    {
        result.Append('{');
        bool first = true;
        foreach ((object? key, object? value) in dict)
        {
            if (!first)
                result.Append(", ");
            first = false;
            Budget.ChargeText(4);
            Write(result, key);
            result.Append(": ");
            Write(result, value);
        }

        result.Append('}');
    }

    private static string Quote(string text)
    {
        // Single quotes unless only those occur inside.
        char quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        Budget.ChargeText(text.Length);
        var result = new StringBuilder(text.Length + 2);
        result.Append(quote);
        for (int i = 0; i < text.Length;)
        {
            int code = PyText.CodeAt(text, i, out int units);
            i += units;
            if (code == quote || code == '\\')
                result.Append('\\').Append((char)code);
            else if (code is '\n' or '\r' or '\t')
                result.Append('\\').Append(code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
            else if (code is >= ' ' and < 127 || (code > 127 && PyChar.IsPrintable(code)))
                PyText.Append(result, code);
            else
                result.Append(EscapeCode(code));
        }

        return result.Append(quote).ToString();
    }

    /// <summary><c>\x..</c>, <c>\u....</c> or <c>\U........</c>, the shortest that fits.</summary>
    public static string EscapeCode(int code) =>
        code < 0x100 ? $"\\x{code:x2}" : code < 0x10000 ? $"\\u{code:x4}" : $"\\U{code:x8}";

    /// <summary><c>ascii(value)</c>.</summary>
    public static string Ascii(object? value)
    {
        string text = Of(value);
        if (!text.Any(c => c > 127))
            return text;
        var result = new StringBuilder();
        foreach (int code in PyText.Codes(text))
            result.Append(code < 128 ? ((char)code).ToString() : EscapeCode(code));
        return result.ToString();
    }

    /// <summary>The shortest digits that give the number back; an exponent below 1e-4 and from 1e16 on.</summary>
    public static string Float(double value)
    {
        if (double.IsNaN(value))
            return "nan";
        if (double.IsInfinity(value))
            return value > 0 ? "inf" : "-inf";
        return FloatDigits.Shortest(value).ToPython();
    }
}
