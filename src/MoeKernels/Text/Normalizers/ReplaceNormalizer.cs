using MoeKernels.Text.Alignment;
using MoeKernels.Text.Patterns;

namespace MoeKernels.Text.Normalizers;

/// <summary><c>Replace</c>: replaces every match by text with the origin of the match's last character.</summary>
internal sealed class ReplaceNormalizer(Pattern pattern, string content) : INormalizer
{
    private readonly int[] _content = CodePoints.Of(content);

    public AlignedText Apply(AlignedText text)
    {
        // Empty text has no matches, not even empty ones.
        var matches = text.Length == 0 ? [] : pattern.FindAll(text.Chars);
        if (matches.Count == 0)
            return text;
        var result = new AlignedText(text.Length);
        var end = 0;
        foreach (var match in matches)
        {
            result.AddRange(text, end, match.Start);
            foreach (var c in _content)
            {
                if (match.End == 0)
                    result.Add(c, 0, 0);
                else
                    result.AddFrom(text, match.End - 1, c);
            }

            end = match.End;
        }

        result.AddRange(text, end, text.Length);
        return result;
    }
}
