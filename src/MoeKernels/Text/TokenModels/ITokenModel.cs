namespace MoeKernels.Text.TokenModels;

/// <summary>A token of one word.</summary>
/// <param name="Id">Vocabulary id.</param>
/// <param name="Start">First code point in the word.</param>
/// <param name="End">One past the last code point in the word.</param>
/// <param name="Surface">Text to show instead of the vocabulary's, for unknown pieces; usually null.</param>
internal readonly record struct ModelToken(int Id, int Start, int End, string? Surface = null);

/// <summary>The step that turns a word into tokens. Immutable; per-call state lives in a session.</summary>
internal interface ITokenModel
{
    Vocabulary Vocabulary { get; }

    /// <summary>Starts work on one text, with caches of its own.</summary>
    ITokenSession Start();
}

/// <summary>Splits the words of one text.</summary>
internal interface ITokenSession
{
    /// <summary>Tokens of one word of code points; the list is valid until the next call.</summary>
    IReadOnlyList<ModelToken> Tokenize(ReadOnlySpan<int> word);
}
