using System.Text.Json.Serialization;

namespace MoeKernels.Generation.Evaluation;

/// <summary>How texts are cut and scored.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Inputs per window; windows do not overlap and each starts with an empty context.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Most windows to score; null scores all.</summary>
    public int? MaxWindows { get; init; }

    /// <summary>Windows computed in one forward call.</summary>
    public int WindowsPerCall { get; init; } = 1;
}

/// <summary>How well a model predicts a text and, with a reference, how far from it its distributions are.</summary>
/// <param name="Nll">Mean negative log likelihood over all targets, in nats.</param>
/// <param name="Tokens">Targets scored.</param>
/// <param name="Windows">Windows scored.</param>
public sealed record EvaluationResult(double Nll, long Tokens, int Windows)
{
    /// <summary>The reference's <see cref="Nll"/>; null without a reference, as the three below.</summary>
    public double? ReferenceNll { get; init; }

    /// <summary>Mean over all targets of the Kullback-Leibler divergence from the reference to the model, in
    /// nats.</summary>
    public double? Kl { get; init; }

    /// <summary>The divergence that 99 % of the targets do not exceed, in nats.</summary>
    [JsonPropertyName("kl_99")]
    public double? Kl99 { get; init; }

    /// <summary>Fraction of targets where both rank the same token first.</summary>
    public double? SameTop { get; init; }

    /// <summary><c>exp(Nll)</c>.</summary>
    public double Perplexity => Math.Exp(Nll);

    /// <summary><c>exp(ReferenceNll)</c>.</summary>
    public double? ReferencePerplexity => ReferenceNll is { } nll ? Math.Exp(nll) : null;
}

/// <summary>How far an evaluation is.</summary>
/// <param name="Window">Windows done.</param>
/// <param name="Windows">Windows in all.</param>
/// <param name="Nll">Mean so far.</param>
public readonly record struct EvaluationProgress(int Window, int Windows, double Nll);
