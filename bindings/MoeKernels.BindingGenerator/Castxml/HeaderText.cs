using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using MoeKernels.BindingGenerator.Model;

namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>A header's own text, for what castxml leaves out: macros, and the comments of macros and enumeration
/// values.</summary>
internal sealed partial class HeaderText
{
    private readonly byte[] bytes;
    private readonly string[] lines;

    /// <summary>Reads a header.</summary>
    /// <param name="path">Its path.</param>
    public HeaderText(string path)
    {
        bytes = File.ReadAllBytes(path);
        lines = Encoding.UTF8.GetString(bytes).ReplaceLineEndings("\n").Split('\n');
    }

    /// <summary>A comment by the byte offsets that castxml gives.</summary>
    /// <param name="comment">castxml's comment element.</param>
    public Comment CommentAt(XElement comment)
    {
        int begin = int.Parse(CastxmlTree.Text(comment, "begin_offset"), CultureInfo.InvariantCulture);
        int end = int.Parse(CastxmlTree.Text(comment, "end_offset"), CultureInfo.InvariantCulture);
        return Comment.Parse(Encoding.UTF8.GetString(bytes[begin..(end + 1)]));
    }

    /// <summary>The documentation comment that ends on the line above.</summary>
    /// <param name="line">Number of a line, from 1.</param>
    public Comment CommentAbove(int line)
    {
        int last = line - 2;
        if (last < 0 || !lines[last].TrimEnd().EndsWith("*/", StringComparison.Ordinal))
            return Comment.None;

        int first = last;
        while (first > 0 && !lines[first].Contains("/*", StringComparison.Ordinal))
            first--;

        string text = string.Join('\n', lines[first..(last + 1)]);
        return text.TrimStart().StartsWith("/**", StringComparison.Ordinal) ? Comment.Parse(text) : Comment.None;
    }

    /// <summary>The line that begins with a name, at or below another line.</summary>
    /// <returns>Its number from 1, or 0 if there is none.</returns>
    public int LineOf(string name, int from)
    {
        int index = Array.FindIndex(lines, from - 1, line => FirstWord().Match(line).Value == name);
        return index + 1;
    }

    /// <summary>Every <c>#define</c> with a body: name, body and line number from 1.</summary>
    public IEnumerable<(string Name, string Body, int Line)> Macros() =>
        from item in lines.Select((text, index) => (Match: Define().Match(text), Line: index + 1))
        where item.Match.Success
        select (item.Match.Groups[1].Value, item.Match.Groups[2].Value.Trim(), item.Line);

    [GeneratedRegex(@"(?<=^\s*)\w+")]
    private static partial Regex FirstWord();

    [GeneratedRegex(@"^\s*#\s*define\s+(\w+(?:\([^)]*\))?)\s+(\S.*)$")]
    private static partial Regex Define();
}
