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

    /// <summary>Cleans one token, as the WordPiece and CTC decoders do.</summary>
    public static string Apply(string text) => Apply(text, Rules);

    /// <summary>Cleans a whole text, as transformers does; it leaves "do not" alone.</summary>
    public static string ApplyAtEnd(string text) => Apply(text, Rules.Where(r => r.To != " don't"));

    private static string Apply(string text, IEnumerable<(string From, string To)> rules)
    {
        foreach (var (from, to) in rules)
            text = text.Replace(from, to, StringComparison.Ordinal);
        return text;
    }
}
