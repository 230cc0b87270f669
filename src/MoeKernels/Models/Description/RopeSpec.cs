namespace MoeKernels.Models.Description;

/// <summary>How the frequencies are changed for contexts longer than those of the first training.</summary>
internal enum RopeScaling
{
    None,

    /// <summary>All frequencies divided by the factor.</summary>
    Linear,

    /// <summary>NTK-aware base change that depends on the length of the sequence.</summary>
    Dynamic,

    /// <summary>Slow frequencies divided by the factor, fast ones kept, a ramp between.</summary>
    Yarn,

    /// <summary>As YaRN with a ramp over wavelengths (Llama-3.1).</summary>
    Llama3,
}

/// <summary>Rotary position embedding of the first <paramref name="Dimensions"/> elements of a head.</summary>
/// <param name="Theta">Base of the frequencies.</param>
/// <param name="Dimensions">Rotated elements, even; smaller than the head for partial rotation.</param>
/// <param name="Interleaved">Pairs are (2i, 2i + 1) when true, (i, i + Dimensions / 2) otherwise.</param>
internal sealed record RopeSpec(double Theta, int Dimensions, bool Interleaved = false)
{
    public RopeScaling Scaling { get; init; }

    /// <summary>Rounds the final frequencies to bf16: what a model computes with after it was cast as a whole
    /// (<c>model.to(bfloat16)</c>), buffers included. Loading a checkpoint keeps them in fp32, so this is only for
    /// comparing with outputs that were made that way.</summary>
    public bool RoundToBFloat16 { get; init; }

    public double Factor { get; init; } = 1;

    /// <summary>Context length before scaling; for <see cref="RopeScaling.Dynamic"/> the length up to which nothing
    /// changes.</summary>
    public int OriginalContext { get; init; }

    /// <summary>Rotations over the original context from which YaRN keeps a frequency.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>Rotations over the original context up to which YaRN divides a frequency.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>Whether YaRN's correction range is rounded to whole dimensions.</summary>
    public bool Truncate { get; init; } = true;

    public double LowFrequencyFactor { get; init; } = 1;

    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>Multiplies cos and sin (YaRN's attention factor, with mscale where the config has it).</summary>
    public double AttentionFactor { get; init; } = 1;

    /// <summary>Factor of the attention scores that <c>mscale_all_dim</c> asks for, <c>(0.1 m ln(Factor) + 1)²</c>; for
    /// the families that apply it (DeepSeek).</summary>
    public double ScoreFactor { get; init; } = 1;
}
