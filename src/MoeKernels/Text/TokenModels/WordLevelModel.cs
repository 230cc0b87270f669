namespace MoeKernels.Text.TokenModels;

/// <summary>WordLevel: a word is a token or unknown.</summary>
internal sealed class WordLevelModel(Vocabulary vocabulary, UnknownToken unknown) : ITokenModel, ITokenSession
{
    public Vocabulary Vocabulary => vocabulary;

    public ITokenSession Start() => this;

    public IReadOnlyList<ModelToken> Tokenize(ReadOnlySpan<int> word) =>
        [new ModelToken(vocabulary.TryGetId(word, out var id) ? id : unknown.Required, 0, word.Length)];
}
