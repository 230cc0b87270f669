namespace MoeKernels.Text.Decoders;

/// <summary>Text helpers of the decoders.</summary>
internal static class Texts
{
    /// <summary>Ordinal replacement; an empty pattern stands between all characters, as Rust's does.</summary>
    public static string Replace(string text, string pattern, string content) => pattern.Length > 0
        ? text.Replace(pattern, content, StringComparison.Ordinal)
        : content + string.Concat(text.EnumerateRunes().Select(r => r.ToString() + content));
}
