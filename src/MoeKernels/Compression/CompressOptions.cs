namespace MoeKernels.Compression;

/// <summary>How a model is compressed.</summary>
public sealed record CompressOptions
{
    /// <summary>Most bits per weight that coding reaches.</summary>
    public const double MaxBits = 4.3;

    /// <summary>Bits per weight without another choice.</summary>
    internal const double DefaultBits = 1;

    /// <summary>How experts are coded.</summary>
    public CompressMethod Method { get; init; }

    /// <summary>Average bits per weight of the routed experts, all metadata counted: from about 0.52, depending on the
    /// model's shapes, to <see cref="MaxBits"/>. Methods without a budget take what they take, and refuse another
    /// value than the default.</summary>
    public double Bits { get; init; } = DefaultBits;

    /// <summary>Instead of <see cref="Bits"/>: the smallest size whose mean divergence from the dense model, in nats,
    /// is at most this.</summary>
    public double? MaxKl { get; init; }

    /// <summary>Bits per weight of the other linear matrices (attention, shared experts, dense networks, embedding,
    /// head); null keeps them as they are.</summary>
    public double? DenseBits { get; init; }

    /// <summary>How bits are spread.</summary>
    public AllocationMode Allocation { get; init; }

    /// <summary>Whole texts like those the model will be used for. The last twentieth is kept for measuring.</summary>
    public required IReadOnlyList<string> Texts { get; init; }

    /// <summary>Calibration tokens, as far as the texts reach.</summary>
    public int Tokens { get; init; } = 131_072;

    /// <summary>Tokens of a window; no more than the model's context.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Also measures what QMoE's method and plain rounding give, at the bits they take, for the report: each
    /// is coded and evaluated like the result itself, and takes that time and disk space.</summary>
    public bool Compare { get; init; }

    /// <summary>Goes on where an earlier run with the same settings stopped; false starts again.</summary>
    public bool Resume { get; init; } = true;

    /// <summary>Worker threads; 0 for all processors.</summary>
    public int Threads { get; init; }

    /// <summary>Checks what can be checked without a model.</summary>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    internal void Validate()
    {
        ArgumentNullException.ThrowIfNull(Texts);
        if (Texts.All(string.IsNullOrWhiteSpace))
            throw new ArgumentException("The calibration text is empty.", nameof(Texts));
        if (!(Bits > 0) || Bits > MaxBits)
        {
            throw new ArgumentOutOfRangeException(
                nameof(Bits), Bits, $"The bits must be above 0 and at most {MaxBits}.");
        }

        if (MaxKl is { } kl && !(kl > 0 && double.IsFinite(kl)))
            throw new ArgumentOutOfRangeException(nameof(MaxKl), kl, "The divergence must be above 0.");
        if (!Method.HasBudget && (Bits != DefaultBits || MaxKl is not null))
        {
            throw new ArgumentException(
                $"The method {Method} spends no budget: bits and divergence are what they are.");
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(Tokens, 1, nameof(Tokens));
        ArgumentOutOfRangeException.ThrowIfLessThan(Window, 2, nameof(Window));
        ArgumentOutOfRangeException.ThrowIfNegative(Threads, nameof(Threads));
    }
}

/// <summary>How far a compression is.</summary>
/// <param name="Stage">What is being done, in a few words.</param>
/// <param name="Done">Steps of the stage done.</param>
/// <param name="Total">Steps of the stage.</param>
/// <param name="Left">Time the whole compression will still take about; null until it can be told.</param>
public readonly record struct CompressProgress(string Stage, int Done, int Total, TimeSpan? Left);

/// <summary>A size or quality that a model cannot be compressed to.</summary>
public sealed class MoeBudgetException : MoeException
{
    /// <summary>Says what cannot be had and what can.</summary>
    public MoeBudgetException(string message)
        : base(message)
    {
    }
}
