using System.Text.RegularExpressions;
using MoeKernels.BindingGenerator.Model;

namespace MoeKernels.BindingGenerator.Emit;

/// <summary>Turns comments of the headers into XML documentation, with links between what is bound.</summary>
internal sealed partial class DocComments
{
    private readonly Dictionary<string, string> links = [];

    /// <summary>Learns the names of all headers.</summary>
    public DocComments(IReadOnlyList<Header> headers)
    {
        foreach (var header in headers)
        {
            foreach (var constant in header.Constants)
                links[constant.Name] = $"Moek.{constant.Name}";
            foreach (var function in header.Functions)
                links[function.Name] = $"Moek.{function.Name}";
            foreach (var type in header.Structs)
                links[type.Name] = type.Name;
            foreach (var type in header.Enums)
            {
                links[type.Name] = type.Name;
                foreach (var value in type.Values)
                    links[value.Name] = $"{type.Name}.{value.Name}";
            }
        }
    }

    /// <summary>Writes the documentation of a declaration.</summary>
    /// <param name="writer">Receives it.</param>
    /// <param name="comment">The header's comment.</param>
    /// <param name="parameters">Names that are parameters here.</param>
    public void Write(CodeWriter writer, Comment comment, params string[] parameters)
    {
        string Xml(string text) => ToXml(text, parameters);

        writer.Wrapped("/// ", $"<summary>{Xml(comment.Paragraphs[0])}</summary>");
        foreach (var (name, text) in comment.Parameters)
            writer.Wrapped("/// ", $"<param name=\"{name}\">{Xml(text)}</param>");
        if (comment.Returns is { } returns)
            writer.Wrapped("/// ", $"<returns>{Xml(returns)}</returns>");
        foreach (string paragraph in comment.Paragraphs.Skip(1))
            writer.Wrapped("/// ", $"<remarks>{Xml(paragraph)}</remarks>");
    }

    private string ToXml(string text, string[] parameters)
    {
        var xml = new System.Text.StringBuilder();
        int end = 0;
        foreach (Match match in Name().Matches(text))
        {
            xml.Append(Escape(text[end..match.Index])).Append(Reference(match, parameters));
            end = match.Index + match.Length;
        }

        return xml.Append(Escape(text[end..])).ToString();
    }

    private string Reference(Match match, string[] parameters)
    {
        string name = match.Value.Trim('`');
        return parameters.Contains(name) ? $"<paramref name=\"{name}\"/>"
            : links.TryGetValue(name, out string? link) ? $"<see cref=\"{link}\"/>"
            : match.Value[0] == '`' ? $"<c>{Escape(name)}</c>"
            : Escape(name);
    }

    private static string Escape(string text) => text
        .Replace("&", "&amp;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal)
        .Replace(">", "&gt;", StringComparison.Ordinal);

    [GeneratedRegex(@"`[^`]+`|\b(?:moek|MOEK)_\w+")]
    private static partial Regex Name();
}
