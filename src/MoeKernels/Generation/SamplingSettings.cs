using System.Globalization;

namespace MoeKernels.Generation;

/// <summary>Sampling values with nothing left open: options over the model's defaults over ours.</summary>
internal sealed record SamplingSettings(
    int MaxNewTokens, float Temperature, int TopK, float TopP, float MinP, float RepetitionPenalty, int Seed)
{
    private const int DefaultMaxNewTokens = 512;

    /// <summary>Merges options with a model's defaults and checks the ranges.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    /// <exception cref="ArgumentException">A stop text is empty.</exception>
    public static SamplingSettings Resolve(GenerationOptions options, GenerationDefaults defaults)
    {
        float temperature = options.Temperature ?? (defaults.DoSample ? defaults.Temperature ?? 1 : 0);
        int topK = options.TopK ?? defaults.TopK ?? 0;
        float topP = options.TopP ?? defaults.TopP ?? 1;
        float minP = options.MinP ?? defaults.MinP ?? 0;
        float penalty = options.RepetitionPenalty ?? defaults.RepetitionPenalty ?? 1;
        int maxNewTokens = options.MaxNewTokens ?? defaults.MaxNewTokens ?? DefaultMaxNewTokens;
        ArgumentOutOfRangeException.ThrowIfNegative(maxNewTokens, nameof(options.MaxNewTokens));
        RequireRange(temperature, 0, float.MaxValue, nameof(options.Temperature));
        ArgumentOutOfRangeException.ThrowIfNegative(topK, nameof(options.TopK));
        RequireRange(topP, 0, 1, nameof(options.TopP));
        RequireRange(minP, 0, 1, nameof(options.MinP));
        RequireRange(penalty, float.Epsilon, float.MaxValue, nameof(options.RepetitionPenalty));
        if (options.Stop.Any(string.IsNullOrEmpty))
        {
            throw new ArgumentException("A stop text must not be empty.", nameof(options));
        }

        int seed = options.Seed ?? Random.Shared.Next();
        return new SamplingSettings(maxNewTokens, temperature, topK, topP, minP, penalty, seed);
    }

    private static void RequireRange(float value, float low, float high, string name)
    {
        if (!(value >= low && value <= high))
        {
            throw new ArgumentOutOfRangeException(name, value, string.Create(
                CultureInfo.InvariantCulture, $"{name} must lie between {low} and {high}."));
        }
    }
}

/// <summary>What a model's <c>generation_config.json</c> says; null where it is silent.</summary>
internal sealed record GenerationDefaults
{
    public bool DoSample { get; init; }

    public int? MaxNewTokens { get; init; }

    public float? Temperature { get; init; }

    public int? TopK { get; init; }

    public float? TopP { get; init; }

    public float? MinP { get; init; }

    public float? RepetitionPenalty { get; init; }

    /// <summary>Tokens that end an answer.</summary>
    public IReadOnlyList<int> EndOfSequence { get; init; } = [];
}
