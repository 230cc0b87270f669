using MoeKernels.Planning;

namespace MoeKernels.Measuring;

/// <summary>What to measure of a model.</summary>
public sealed record ModelBenchmarkOptions
{
    /// <summary>Tokens of the prompts, each measured by itself; null: 32, 128 and 512 as far as the context
    /// allows.</summary>
    public IReadOnlyList<int>? PromptTokens { get; init; }

    /// <summary>Tokens decoded behind each prompt.</summary>
    public int DecodeTokens { get; init; } = 32;

    /// <summary>Worker threads; 0: the environment variable MOEK_THREADS, else all processors.</summary>
    public int Threads { get; init; }

    /// <summary>Rounds that count.</summary>
    public int Rounds { get; init; } = 5;

    /// <summary>Most seconds to run before the rounds of a length; it ends as soon as nothing gets faster.</summary>
    public double MaxWarmUpSeconds { get; init; } = 6;
}

/// <summary>Speed with one length of prompt; medians over the rounds.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="PrefillTokensPerSecond">Prompt tokens computed per second, read at once.</param>
/// <param name="FirstTokenSeconds">Time until the logits after the prompt are there.</param>
/// <param name="DecodeTokensPerSecond">Tokens computed one by one per second, behind the prompt.</param>
public sealed record LengthResult(
    int PromptTokens, double PrefillTokensPerSecond, double FirstTokenSeconds, double DecodeTokensPerSecond);

/// <summary>What a model does on this machine.</summary>
public sealed record ModelBenchmarkResult
{
    /// <summary>The model, from its headers.</summary>
    public required ModelInfo Model { get; init; }

    /// <summary>What it ran on.</summary>
    public required BackendInfo Backend { get; init; }

    /// <summary>Model name of the processor.</summary>
    public required string Processor { get; init; }

    /// <summary>Memory as planned before loading.</summary>
    public required MemoryPlan Plan { get; init; }

    /// <summary>Most memory the process had resident, mapped weights included, before anything but the model was
    /// measured.</summary>
    public required long PeakResidentBytes { get; init; }

    /// <summary>Time until the model was ready, its files as the system had them, on disk or in memory.</summary>
    public required double LoadSeconds { get; init; }

    /// <summary>Bytes per second of a loop that only reads the mapped weights, in four streams a thread, in the same
    /// rounds; null where the weights are not mapped.</summary>
    public double? PlainReadBytesPerSecond { get; init; }

    /// <summary>Speed by length of prompt.</summary>
    public required IReadOnlyList<LengthResult> Lengths { get; init; }

    /// <summary>Tokens decoded behind each prompt.</summary>
    public required int DecodeTokens { get; init; }

    /// <summary>Rounds that counted.</summary>
    public required int Rounds { get; init; }

    /// <summary>Time spent before the rounds, until nothing got faster any more.</summary>
    public required double WarmUpSeconds { get; init; }

    /// <summary>Weight bytes per second that decode passes through at the shortest prompt.</summary>
    public double DecodeBytesPerSecond => Plan.BytesPerToken * Lengths[0].DecodeTokensPerSecond;
}
