namespace MoeKernels.Text.PostProcessors;

/// <summary>A step that works on the encodings of one or two texts before they are joined; immutable.</summary>
internal interface IPostProcessor
{
    /// <summary>Number of tokens the step adds, which truncation leaves room for.</summary>
    int AddedTokens(bool isPair);

    List<EncodingBuilder> Apply(List<EncodingBuilder> encodings, bool addSpecialTokens);
}

/// <summary>Steps one after another.</summary>
internal sealed class PostProcessorSequence(IReadOnlyList<IPostProcessor> steps) : IPostProcessor
{
    public int AddedTokens(bool isPair) => steps.Sum(s => s.AddedTokens(isPair));

    public List<EncodingBuilder> Apply(List<EncodingBuilder> encodings, bool addSpecialTokens)
    {
        foreach (var step in steps)
            encodings = step.Apply(encodings, addSpecialTokens);
        return encodings;
    }
}

/// <summary>Runs the post-processor of a tokenizer and joins what it leaves.</summary>
internal static class PostProcessing
{
    public static EncodingBuilder Run(
        IPostProcessor? processor, List<EncodingBuilder> encodings, bool addSpecialTokens)
    {
        for (var i = 0; i < encodings.Count; i++)
            encodings[i].SetSequence(i);
        if (processor is not null)
            encodings = processor.Apply(encodings, addSpecialTokens);
        var result = encodings[0];
        for (var i = 1; i < encodings.Count; i++)
            result = result.Concat(encodings[i]);
        return result;
    }
}
