namespace MoeKernels.Text.PostProcessors;

/// <summary>
/// <c>BertProcessing</c> (CLS A SEP, B SEP) and <c>RobertaProcessing</c> (CLS A SEP, SEP B SEP, all of type 0).
/// </summary>
internal sealed class ClassicProcessing(
    (int Id, string Text) cls, (int Id, string Text) sep, bool isRoberta, bool trimOffsets, bool addPrefixSpace)
    : IPostProcessor
{
    public int AddedTokens(bool isPair) => !isPair ? 2 : isRoberta ? 4 : 3;

    public List<EncodingBuilder> Apply(List<EncodingBuilder> encodings, bool addSpecialTokens)
    {
        if (isRoberta && trimOffsets)
            ByteLevelPostProcessor.TrimOffsets(encodings, addPrefixSpace);
        if (isRoberta)
        {
            foreach (var encoding in encodings)
                encoding.Update((t, _) => t with { TypeId = 0 });
        }

        return addSpecialTokens ? [.. encodings.Select(Surround)] : encodings;
    }

    private EncodingBuilder Surround(EncodingBuilder encoding, int index)
    {
        var typeId = isRoberta ? 0 : index;
        var before = new List<TokenEntry>();
        if (index == 0)
            before.Add(TokenEntry.Added(cls.Id, cls.Text, typeId));
        else if (isRoberta)
            before.Add(TokenEntry.Added(sep.Id, sep.Text, typeId));
        var after = TokenEntry.Added(sep.Id, sep.Text, typeId);
        var result = EncodingBuilder.Of([.. before, .. encoding.Tokens, after]);
        foreach (var window in encoding.Overflowing)
            result.Overflowing.Add(EncodingBuilder.Of([.. before, .. window.Tokens, after]));
        return result;
    }
}
