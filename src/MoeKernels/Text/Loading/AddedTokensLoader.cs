using MoeKernels.Text.Normalizers;
using MoeKernels.Text.TokenModels;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>added_tokens</c>.</summary>
internal static class AddedTokensLoader
{
    /// <remarks>
    /// As in the reference, a token that the model knows has the model's id, and the others are numbered on from the
    /// size of the vocabulary, whatever the file says.
    /// </remarks>
    public static AddedTokens Load(Section section, Vocabulary vocabulary, INormalizer? normalizer)
    {
        var tokens = new Dictionary<string, AddedToken>();
        var next = vocabulary.Count;
        foreach (var item in section.IsNull ? [] : section.Items())
        {
            var content = item.Required("content").AsText();
            item.Required("id").AsInt();
            if (content.Length == 0)
                continue;
            var id = tokens.TryGetValue(content, out var known) ? known.Id
                : vocabulary.TryGetId(content, out var inModel) ? inModel
                : next++;
            tokens[content] = new AddedToken(id, content)
            {
                SingleWord = item.Bool("single_word", false),
                StripLeft = item.Bool("lstrip", false),
                StripRight = item.Bool("rstrip", false),
                Normalized = item.Bool("normalized", true),
                Special = item.Bool("special", false),
            };
        }

        return new AddedTokens(tokens.Values, normalizer);
    }
}
