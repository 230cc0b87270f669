using System.Text;

namespace MoeKernels.BindingGenerator.Output;

/// <summary>A short readable difference of two texts.</summary>
internal static class Difference
{
    private const int MostLines = 12;

    /// <summary>Shows the lines between the first and the last that differ.</summary>
    /// <param name="present">Text on disk.</param>
    /// <param name="wanted">Text as generated.</param>
    /// <returns>Lines with - (on disk) and + (generated), or <see langword="null"/> if nothing differs.</returns>
    public static string? Between(string present, string wanted)
    {
        if (present == wanted)
            return null;

        string[] old = present.Split('\n');
        string[] made = wanted.Split('\n');
        int shorter = Math.Min(old.Length, made.Length);
        int head = 0;
        while (head < shorter && old[head] == made[head])
            head++;

        int tail = 0;
        while (tail < shorter - head && old[^(tail + 1)] == made[^(tail + 1)])
            tail++;

        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"differs from line {head + 1} on:");
        Append(text, '-', old.AsSpan(head, old.Length - tail - head));
        Append(text, '+', made.AsSpan(head, made.Length - tail - head));
        return text.ToString();
    }

    private static void Append(StringBuilder text, char sign, ReadOnlySpan<string> lines)
    {
        foreach (string line in lines[..Math.Min(lines.Length, MostLines)])
            text.Append('\n').Append(sign).Append(' ').Append(line);

        if (lines.Length > MostLines)
            text.Append(CultureInfo.InvariantCulture, $"\n{sign} ... and {lines.Length - MostLines} more lines");
    }
}
