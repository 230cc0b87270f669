using System.Text.RegularExpressions;
using MoeKernels.BindingGenerator.Model;

namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>Constants among the macros of a header.</summary>
internal static partial class MacroReader
{
    /// <summary>Reads them; a public macro must be a plain number, except the one that marks exports.</summary>
    /// <param name="text">The header's text.</param>
    /// <param name="header">Its file name, for messages.</param>
    /// <param name="problems">Receives macros of another form.</param>
    public static IReadOnlyList<Constant> Read(HeaderText text, string header, Problems problems)
    {
        var constants = new List<Constant>();
        foreach (var (name, body, line) in text.Macros())
        {
            if (name == "MOEK_API")
                continue;

            var comment = text.CommentAbove(line);
            if (Literal(body) is not { } literal)
                problems.Add(header, line, $"macro {name} is not a plain number");
            else if (comment.Paragraphs.Count == 0)
                problems.Add(header, line, $"{name} has no comment");
            else
                constants.Add(new(name, literal.Type, literal.Value, comment));
        }

        return constants;
    }

    private static (string Type, string Value)? Literal(string body)
    {
        var match = Number().Match(body);
        if (!match.Success)
            return null;

        string value = match.Groups[1].Value;
        string suffix = match.Groups[2].Value.ToUpperInvariant();
        bool hexadecimal = value.Contains('x', StringComparison.OrdinalIgnoreCase);
        bool real = !hexadecimal && value.AsSpan().ContainsAny('.', 'e', 'E');
        return (real, suffix) switch
        {
            (true, "F") => ("float", value + "f"),
            (true, "") => ("double", value),
            (false, "U") => ("uint", value + "u"),
            (false, "LL") => ("long", value + "L"),
            (false, "ULL") => ("ulong", value + "UL"),
            (false, "") when IsInt(value, hexadecimal) => ("int", value),
            _ => null,
        };
    }

    private static bool IsInt(string value, bool hexadecimal) => hexadecimal
        ? int.TryParse(value.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out int bits) && bits >= 0
        : int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _)
            && !(value.Length > 1 && value[0] == '0');

    [GeneratedRegex(@"^(0[xX][0-9a-fA-F]+|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)([uU]?[lL]{0,2}|[fF])$")]
    private static partial Regex Number();
}
