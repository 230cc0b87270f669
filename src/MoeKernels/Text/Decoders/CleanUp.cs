namespace MoeKernels.Text.Decoders;

/// <summary>Takes out the spaces that splitting English put before punctuation and contractions.</summary>
internal static class CleanUp
{
    // In the reference's order: each replacement sees the result of those before it.
    private static readonly (string From, string To)[] Rules =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    public static string Apply(string text)
    {
        foreach (var (from, to) in Rules)
            text = text.Replace(from, to, StringComparison.Ordinal);
        return text;
    }
}
