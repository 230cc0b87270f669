using System.Text.RegularExpressions;

namespace MoeKernels.BindingGenerator.Model;

/// <summary>A documentation comment of a header, taken apart.</summary>
/// <param name="Paragraphs">Paragraphs before the first tag, each on one line.</param>
/// <param name="Parameters">Text of each <c>@param</c> by name, in the header's order.</param>
/// <param name="Returns">Text of <c>@return</c>, or <see langword="null"/>.</param>
internal sealed partial record Comment(
    IReadOnlyList<string> Paragraphs, IReadOnlyList<(string Name, string Text)> Parameters, string? Returns)
{
    /// <summary>A declaration without comment.</summary>
    public static Comment None { get; } = new([], [], null);

    /// <summary>Takes a comment apart.</summary>
    /// <param name="source">The comment as it stands in the header, with its delimiters.</param>
    public static Comment Parse(string source)
    {
        string text = LineStart().Replace(Delimiters().Replace(source, ""), "");
        string[] sections = SectionStart().Split(text);
        var parameters = new List<(string, string)>();
        string? returns = null;
        foreach (string section in sections.Skip(1))
        {
            if (ParameterSection().Match(section) is { Success: true } parameter)
                parameters.Add((parameter.Groups[1].Value, OneLine(parameter.Groups[2].Value)));
            else
                returns = OneLine(ReturnTag().Replace(section, ""));
        }

        return new(
            [.. ParagraphEnd().Split(sections[0]).Select(OneLine).Where(paragraph => paragraph.Length > 0)],
            parameters,
            returns);
    }

    private static string OneLine(string text) => Blanks().Replace(text, " ").Trim();

    [GeneratedRegex(@"^\s*/\*\*<?|\*/\s*$")]
    private static partial Regex Delimiters();

    [GeneratedRegex(@"^[ \t]*\*[ \t]?", RegexOptions.Multiline)]
    private static partial Regex LineStart();

    [GeneratedRegex(@"(?=@(?:param|returns?)\b)")]
    private static partial Regex SectionStart();

    [GeneratedRegex(@"^@param(?:\[[\w,]+\])?\s+(\w+)\s+(.*)$", RegexOptions.Singleline)]
    private static partial Regex ParameterSection();

    [GeneratedRegex(@"^@returns?\s+")]
    private static partial Regex ReturnTag();

    [GeneratedRegex(@"\n[ \t]*\n")]
    private static partial Regex ParagraphEnd();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
