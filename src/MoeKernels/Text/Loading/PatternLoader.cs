using MoeKernels.Text.Patterns;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>pattern</c>: <c>{"String": ...}</c> or <c>{"Regex": ...}</c>.</summary>
internal static class PatternLoader
{
    /// <summary>Reads the pattern of a Replace step, where an empty string matches between all characters.</summary>
    public static Pattern LoadReplacement(Section section) => Load(section) ?? Pattern.Exactly("");

    /// <returns>The pattern; null for an empty string, which matches nothing.</returns>
    public static Pattern? Load(Section section)
    {
        if (section["String"] is { IsNull: false } literal)
            return literal.AsText() is { Length: > 0 } text ? Pattern.Exactly(text) : null;
        var regex = section.Required("Regex");
        try
        {
            return Pattern.Compile(regex.AsText(), regex.Where);
        }
        catch (PatternException e)
        {
            throw regex.Error("is not a valid pattern: " + e.Message, e);
        }
    }
}
