using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.Normalizers;

/// <summary>A step that rewrites text and keeps each character's origin; immutable.</summary>
internal interface INormalizer
{
    AlignedText Apply(AlignedText text);
}

/// <summary>Steps one after another.</summary>
internal sealed class NormalizerSequence(IReadOnlyList<INormalizer> steps) : INormalizer
{
    public AlignedText Apply(AlignedText text)
    {
        foreach (var step in steps)
            text = step.Apply(text);
        return text;
    }
}
