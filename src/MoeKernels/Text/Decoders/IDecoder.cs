namespace MoeKernels.Text.Decoders;

/// <summary>A step that turns tokens back into text; the results of the last step are joined. Immutable.</summary>
internal interface IDecoder
{
    List<string> Apply(List<string> tokens);
}

/// <summary>Steps one after another.</summary>
internal sealed class DecoderSequence(IReadOnlyList<IDecoder> steps) : IDecoder
{
    public List<string> Apply(List<string> tokens)
    {
        foreach (var step in steps)
            tokens = step.Apply(tokens);
        return tokens;
    }
}

/// <summary><c>Fuse</c>: joins all tokens to one, so that later steps see the whole text.</summary>
internal sealed class FuseDecoder : IDecoder
{
    public List<string> Apply(List<string> tokens) => [string.Concat(tokens)];
}
