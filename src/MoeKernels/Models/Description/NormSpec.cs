namespace MoeKernels.Models.Description;

internal enum NormKind
{
    /// <summary><c>x / sqrt(mean(x²) + eps) * w</c>.</summary>
    Rms,

    /// <summary><c>x / sqrt(mean(x²) + eps) * (1 + w)</c> (Qwen3-Next).</summary>
    RmsPlusOne,

    /// <summary><c>(x - mean) / sqrt(var + eps) * w + b</c> (NLLB).</summary>
    Layer,

    /// <summary>RMS without a weight (Llama-4's q/k norm).</summary>
    RmsUnweighted,
}

/// <summary>A normalisation over the last axis.</summary>
/// <param name="Kind">The formula.</param>
/// <param name="Module">Name without <c>.weight</c>; unused for <see cref="NormKind.RmsUnweighted"/>.</param>
/// <param name="Size">Elements normalised together.</param>
/// <param name="Epsilon">Added under the root.</param>
internal sealed record NormSpec(NormKind Kind, TensorName Module, int Size, float Epsilon);
