using System.Text;
using MoeKernels.Text.Alignment;
using MoeKernels.Text.Patterns;

namespace MoeKernels.Text.Decoders;

/// <summary><c>Replace</c>: puts other text in place of every match of a pattern, token by token.</summary>
internal sealed class ReplaceDecoder(Pattern pattern, string content) : IDecoder
{
    public List<string> Apply(List<string> tokens) => [.. tokens.Select(Replace)];

    private string Replace(string token)
    {
        var chars = CodePoints.Of(token);
        // Empty text has no matches, not even empty ones.
        var matches = chars.Length == 0 ? [] : pattern.FindAll(chars);
        if (matches.Count == 0)
            return token;
        var result = new StringBuilder();
        var end = 0;
        foreach (var match in matches)
        {
            result.Append(CodePoints.ToText(chars.AsSpan(end..match.Start))).Append(content);
            end = match.End;
        }

        return result.Append(CodePoints.ToText(chars.AsSpan(end..))).ToString();
    }
}
