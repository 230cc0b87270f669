using MoeKernels.Models.Description;

namespace MoeKernels.Models.Layers;

/// <summary>The angle per position of each pair of a rotary embedding, rounded to single precision where transformers
/// rounds: long contexts multiply these roundings by the position, so an exact computation would disagree.</summary>
internal static class RopeFrequencies
{
    /// <summary>Frequencies of a sequence of <paramref name="length"/> positions, [Dimensions / 2].</summary>
    /// <param name="spec">The embedding.</param>
    /// <param name="length">Matters for <see cref="RopeScaling.Dynamic"/> only.</param>
    /// <param name="frequencies">Receives radians per position.</param>
    public static void Compute(RopeSpec spec, int length, Span<float> frequencies)
    {
        double theta = spec.Scaling == RopeScaling.Dynamic ? DynamicTheta(spec, length) : spec.Theta;
        for (int i = 0; i < frequencies.Length; i++)
            frequencies[i] = 1f / Power((float)theta, 2f * i / spec.Dimensions);

        switch (spec.Scaling)
        {
            case RopeScaling.Linear:
                foreach (ref float frequency in frequencies)
                    frequency /= (float)spec.Factor;
                break;
            case RopeScaling.Yarn:
                Yarn(spec, frequencies);
                break;
            case RopeScaling.Llama3:
                foreach (ref float frequency in frequencies)
                    frequency = Llama3(spec, frequency);
                break;
        }

        if (!spec.RoundToBFloat16)
            return;
        foreach (ref float frequency in frequencies)
            frequency = BFloat16.Round(frequency);
    }

    /// <summary><c>θ (F L / L₀ - (F - 1))^(d / (d - 2))</c>, L not below L₀.</summary>
    private static double DynamicTheta(RopeSpec spec, int length)
    {
        double ratio = (double)Math.Max(length, spec.OriginalContext) / spec.OriginalContext;
        double stretch = (spec.Factor * ratio) - (spec.Factor - 1);
        return spec.Theta * Math.Pow(stretch, spec.Dimensions / (spec.Dimensions - 2.0));
    }

    /// <summary>Divides frequencies by the factor where they turn fewer than BetaSlow times over the original context,
    /// keeps them above BetaFast turns, and blends linearly over the dimensions between.</summary>
    private static void Yarn(RopeSpec spec, Span<float> frequencies)
    {
        double low = CorrectionDimension(spec, spec.BetaFast);
        double high = CorrectionDimension(spec, spec.BetaSlow);
        if (spec.Truncate)
            (low, high) = (Math.Floor(low), Math.Ceiling(high));
        low = Math.Max(low, 0);
        high = Math.Min(high, spec.Dimensions - 1);
        if (low == high)
            high += 0.001;
        for (int i = 0; i < frequencies.Length; i++)
        {
            float kept = 1f - Math.Clamp((i - (float)low) / (float)(high - low), 0f, 1f);
            float period = Power((float)spec.Theta, 2f * i / spec.Dimensions);
            float divided = 1f / ((float)spec.Factor * period);
            frequencies[i] = (divided * (1f - kept)) + (frequencies[i] * kept);
        }
    }

    /// <summary>The dimension whose pair turns <paramref name="rotations"/> times over the original context.</summary>
    private static double CorrectionDimension(RopeSpec spec, double rotations) =>
        spec.Dimensions * Math.Log(spec.OriginalContext / (rotations * 2 * Math.PI)) / (2 * Math.Log(spec.Theta));

    /// <summary>Keeps wavelengths below L₀ / high, divides those above L₀ / low, and blends between.</summary>
    private static float Llama3(RopeSpec spec, float frequency)
    {
        double wavelength = 2 * Math.PI / frequency;
        double turns = spec.OriginalContext / wavelength;
        if (turns >= spec.HighFrequencyFactor)
            return frequency;
        float divided = frequency / (float)spec.Factor;
        if (turns < spec.LowFrequencyFactor)
            return divided;
        float kept = (float)((turns - spec.LowFrequencyFactor) / (spec.HighFrequencyFactor - spec.LowFrequencyFactor));
        return ((1f - kept) * divided) + (kept * frequency);
    }

    private static float Power(float value, float exponent) => (float)Math.Pow(value, exponent);
}
