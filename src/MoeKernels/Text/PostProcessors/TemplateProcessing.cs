namespace MoeKernels.Text.PostProcessors;

/// <summary>One part of a template: the first text (Sequence 0), the second (1), or tokens to add.</summary>
/// <param name="Sequence">0 or 1, or -1 for added tokens.</param>
/// <param name="TypeId">Type id the part gets.</param>
/// <param name="Tokens">The tokens to add.</param>
internal sealed record TemplatePart(int Sequence, int TypeId, IReadOnlyList<(int Id, string Text)> Tokens);

/// <summary><c>TemplateProcessing</c>: puts special tokens around one text or a pair.</summary>
internal sealed class TemplateProcessing(IReadOnlyList<TemplatePart> single, IReadOnlyList<TemplatePart> pair)
    : IPostProcessor
{
    public int AddedTokens(bool isPair) => (isPair ? pair : single).Sum(p => p.Tokens.Count);

    public List<EncodingBuilder> Apply(List<EncodingBuilder> encodings, bool addSpecialTokens)
    {
        var result = new List<EncodingBuilder>();
        foreach (var part in encodings.Count > 1 ? pair : single)
        {
            if (part.Sequence < 0)
            {
                var added = part.Tokens.Select(t => TokenEntry.Added(t.Id, t.Text, part.TypeId));
                if (addSpecialTokens)
                    result.Add(EncodingBuilder.Of(added));
                continue;
            }

            // The windows of a truncated text keep the type id of their text, as in the reference.
            var source = encodings[part.Sequence];
            var copy = EncodingBuilder.Of(source.Tokens.Select(t => t with { TypeId = part.TypeId }));
            copy.Overflowing.AddRange(source.Overflowing);
            result.Add(copy);
        }

        return result;
    }
}
