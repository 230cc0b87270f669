namespace MoeKernels.Formats;

/// <summary>Text of a file as an error message may show it: a hostile name must not flood or break the
/// terminal.</summary>
internal static class Shown
{
    private const int Longest = 160;

    /// <summary>The text without control characters, cut after 160 characters.</summary>
    internal static string Short(string text)
    {
        string cut = text.Length <= Longest ? text : string.Concat(text.AsSpan(0, Longest), "...");
        return string.Create(cut.Length, cut, static (target, source) =>
        {
            for (int i = 0; i < target.Length; i++)
                target[i] = char.IsControl(source[i]) || char.IsSurrogate(source[i]) ? '?' : source[i];
        });
    }

    /// <summary>Up to three of <paramref name="names"/> that share most of their start and end with a wrong
    /// name.</summary>
    internal static string NearNames(IEnumerable<string> names, string wrong)
    {
        string[] near = names
            .Select(name => (name, score: SharedEnds(name, wrong)))
            .Where(pair => pair.score * 2 > wrong.Length)
            .OrderByDescending(pair => pair.score)
            .ThenBy(pair => pair.name, StringComparer.Ordinal)
            .Take(3)
            .Select(pair => $"'{Short(pair.name)}'")
            .ToArray();
        return near.Length == 0 ? string.Empty : $"; near names: {string.Join(", ", near)}";
    }

    private static int SharedEnds(string name, string wrong)
    {
        int limit = Math.Min(name.Length, wrong.Length);
        int prefix = name.AsSpan().CommonPrefixLength(wrong);
        int suffix = 0;
        while (suffix < limit - prefix && name[^(suffix + 1)] == wrong[^(suffix + 1)])
            suffix++;

        return prefix + suffix;
    }
}
