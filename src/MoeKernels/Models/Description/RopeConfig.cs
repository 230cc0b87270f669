using MoeKernels.Formats;

namespace MoeKernels.Models.Description;

/// <summary>Reads the rotary embedding of a config in every form transformers has written it: <c>rope_theta</c> with
/// <c>rope_scaling</c>, or <c>rope_parameters</c> with everything inside, once or per layer type.</summary>
/// <remarks>Precedence and defaults are those of transformers 5's <c>modeling_rope_utils</c>.</remarks>
internal static class RopeConfig
{
    private const string Nested = "rope_parameters";
    private const string Partial = "partial_rotary_factor";
    private const string MscaleAll = "mscale_all_dim";
    private const string Original = "original_max_position_embeddings";

    /// <summary>Reads the embedding of one layer type.</summary>
    /// <param name="keys">The object with the model's sizes.</param>
    /// <param name="headDim">Elements of a head, or of its rotary part where the family splits them.</param>
    /// <param name="maxContext"><c>max_position_embeddings</c>.</param>
    /// <param name="layerType">Key of this layer's entry where <c>rope_parameters</c> has one per layer type.</param>
    /// <param name="interleaved">Whether the family rotates neighbours instead of halves.</param>
    /// <param name="defaultTheta">The family's <c>rope_theta</c> where the config has none.</param>
    /// <param name="defaultPartial">The family's <c>partial_rotary_factor</c> where the config has none.</param>
    /// <exception cref="MoeFormatException">A key is missing or out of range.</exception>
    /// <exception cref="MoeUnsupportedException">The kind of scaling is not known here.</exception>
    public static RopeSpec Read(
        ConfigReader keys,
        int headDim,
        int maxContext,
        string? layerType = null,
        bool interleaved = false,
        double defaultTheta = 10000,
        double defaultPartial = 1)
    {
        ConfigReader? scaling = Parameters(keys, layerType);
        double theta = scaling?.OptionalDouble("rope_theta") ?? keys.DoubleOr(defaultTheta, "rope_theta");
        if (theta <= 1)
            throw keys.Error("rope_theta", $"{theta} is not above 1");
        RopeSpec plain = new(theta, Dimensions(keys, scaling, headDim, defaultPartial), interleaved);
        if (scaling is null)
            return plain;

        string kind = scaling.StringOr("default", "rope_type", "type");
        RopeSpec scaled = kind switch
        {
            "default" => plain,
            "linear" => plain with { Scaling = RopeScaling.Linear, Factor = Factor(scaling) },
            "dynamic" => Dynamic(scaling, plain, maxContext),
            "yarn" => Yarn(keys, scaling, plain, maxContext),
            "llama3" => Llama3(keys, scaling, plain, maxContext),
            _ => throw scaling.Unsupported("rope_type", $"rotary embeddings of the type '{kind}'"),
        };
        double mscale = scaled.Scaling == RopeScaling.None ? 0 : scaling.DoubleOr(0, MscaleAll);
        return mscale == 0 ? scaled : scaled with { ScoreFactor = Math.Pow(Mscale(scaled.Factor, mscale), 2) };
    }

    private static ConfigReader? Parameters(ConfigReader keys, string? layerType)
    {
        ConfigReader? scaling = keys.OptionalObject("rope_scaling");
        if (scaling is null || !scaling.Keys.Any())
            scaling = keys.OptionalObject(Nested);
        bool perLayerType = scaling?.Keys.Any(key => key.EndsWith("_attention", StringComparison.Ordinal)) ?? false;
        return perLayerType ? scaling!.Object(layerType ?? "full_attention") : scaling;
    }

    private static int Dimensions(ConfigReader keys, ConfigReader? scaling, int headDim, double defaultPartial)
    {
        int? rotary = keys.InRange(2, headDim, "rotary_dim");
        double partial = scaling?.OptionalDouble(Partial) ?? keys.DoubleOr(defaultPartial, Partial);
        if (partial is not (> 0 and <= 1))
            throw keys.Error(Partial, $"{partial} is not above 0 and at most 1");

        int dimensions = rotary ?? (int)(headDim * partial);
        return dimensions >= 2 && dimensions % 2 == 0
            ? dimensions
            : throw keys.Error(rotary is null ? Partial : "rotary_dim", $"rotates {dimensions} elements: not even");
    }

    private static double Factor(ConfigReader scaling) => Positive(scaling, "factor", scaling.Double("factor"));

    private static double Positive(ConfigReader scaling, string key, double value) =>
        value > 0 ? value : throw scaling.Error(key, $"{value} is not positive");

    private static RopeSpec Dynamic(ConfigReader scaling, RopeSpec plain, int maxContext)
    {
        // The base grows by a power of dimensions / (dimensions - 2).
        if (plain.Dimensions == 2)
            throw scaling.Error("rope_type", "dynamic scaling needs more than 2 rotated elements");
        return plain with { Scaling = RopeScaling.Dynamic, Factor = Factor(scaling), OriginalContext = maxContext };
    }

    private static RopeSpec Llama3(ConfigReader keys, ConfigReader scaling, RopeSpec plain, int maxContext)
    {
        double low = Positive(scaling, "low_freq_factor", scaling.Double("low_freq_factor"));
        double high = scaling.Double("high_freq_factor");

        // Equal factors leave nothing to blend between: Llama-4 Scout is released so.
        if (high < low)
            throw scaling.Error("high_freq_factor", $"{high} is below low_freq_factor, {low}");
        return plain with
        {
            Scaling = RopeScaling.Llama3,
            Factor = Factor(scaling),
            LowFrequencyFactor = low,
            HighFrequencyFactor = high,
            OriginalContext = OriginalContext(keys, scaling, maxContext),
        };
    }

    private static RopeSpec Yarn(ConfigReader keys, ConfigReader scaling, RopeSpec plain, int maxContext)
    {
        int original = OriginalContext(keys, scaling, maxContext);
        double factor = scaling.Has("factor") ? Factor(scaling) : (double)maxContext / original;
        double mscale = scaling.DoubleOr(0, "mscale");
        double mscaleAll = scaling.DoubleOr(0, MscaleAll);
        double inferred = mscale != 0 && mscaleAll != 0
            ? Mscale(factor, mscale) / Mscale(factor, mscaleAll)
            : Mscale(factor, 1);

        // A beta of 0 counts as absent.
        double fast = scaling.DoubleOr(0, "beta_fast");
        double slow = scaling.DoubleOr(0, "beta_slow");
        return plain with
        {
            Scaling = RopeScaling.Yarn,
            Factor = factor,
            OriginalContext = original,
            BetaFast = fast == 0 ? 32 : Positive(scaling, "beta_fast", fast),
            BetaSlow = slow == 0 ? 1 : Positive(scaling, "beta_slow", slow),
            Truncate = scaling.BoolOr(true, "truncate"),
            AttentionFactor = scaling.OptionalDouble("attention_factor") ?? inferred,
        };
    }

    /// <summary>The length of the first training; a key beside the object wins over the one in it.</summary>
    private static int OriginalContext(ConfigReader keys, ConfigReader scaling, int maxContext) =>
        keys.OptionalPositive(Original) ?? scaling.PositiveOr(maxContext, Original);

    private static double Mscale(double factor, double mscale) =>
        factor <= 1 ? 1 : (0.1 * mscale * Math.Log(factor)) + 1;
}
