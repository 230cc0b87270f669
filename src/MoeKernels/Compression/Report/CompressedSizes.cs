namespace MoeKernels.Compression;

/// <summary>Parameters and bytes of a model before and after.</summary>
public sealed record CompressedSizes
{
    /// <summary>Weights of the routed experts.</summary>
    public required long ExpertWeights { get; init; }

    /// <summary>Bytes of the routed experts in the output: codes, scales, codebooks, headers.</summary>
    public required long ExpertBytes { get; init; }

    /// <summary>All parameters of the model.</summary>
    public required long Parameters { get; init; }

    /// <summary>Bytes of all weights in the output.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Bytes of the routed experts in the source.</summary>
    public required long SourceExpertBytes { get; init; }

    /// <summary>Bytes of all weights in the source.</summary>
    public required long SourceWeightBytes { get; init; }

    /// <summary>Bytes of the whole output folder, without the report.</summary>
    public required long DiskBytes { get; init; }

    /// <summary>Memory the output takes when it runs, as planned for one session.</summary>
    public required long ResidentBytes { get; init; }

    /// <summary>Memory the source takes when it runs, as planned for one session.</summary>
    public required long SourceResidentBytes { get; init; }

    /// <summary>Bits per expert weight, all metadata counted; 0 for a model without experts.</summary>
    public double ExpertBits => ExpertWeights == 0 ? 0 : 8.0 * ExpertBytes / ExpertWeights;

    /// <summary>Bits per parameter of the whole model, all metadata counted.</summary>
    public double BitsPerParameter => Parameters == 0 ? 0 : 8.0 * WeightBytes / Parameters;
}

/// <summary>Time and memory a compression took.</summary>
public sealed record CompressionCost
{
    /// <summary>Running the calibration text through the model, in seconds; null where it is part of
    /// <see cref="QuantizingSeconds"/>.</summary>
    public double? CalibrationSeconds { get; init; }

    /// <summary>Quantising what was written, in seconds.</summary>
    public required double QuantizingSeconds { get; init; }

    /// <summary>Measuring and choosing how to spend the bits, in seconds.</summary>
    public required double AllocationSeconds { get; init; }

    /// <summary>Evaluating the result, in seconds.</summary>
    public required double EvaluationSeconds { get; init; }

    /// <summary>Coding and evaluating other methods, in seconds.</summary>
    public double ComparisonSeconds { get; init; }

    /// <summary>Everything else, in seconds: texts, writing, checksums.</summary>
    public double OtherSeconds { get; init; }

    /// <summary>Seconds the plan had predicted in all; null where a run went on from a stopped one, which nobody
    /// planned.</summary>
    public double? PlannedSeconds { get; init; }

    /// <summary>Most memory the process had resident.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Memory the plan had predicted; null likewise.</summary>
    public long? PlannedPeakBytes { get; init; }

    /// <summary>Worker threads.</summary>
    public required int Threads { get; init; }

    /// <summary>All of it, in seconds.</summary>
    public double TotalSeconds =>
        (CalibrationSeconds ?? 0) + QuantizingSeconds + AllocationSeconds + EvaluationSeconds + ComparisonSeconds
        + OtherSeconds;
}

/// <summary>What the matrices of one kind in one layer got, or a part of them.</summary>
/// <param name="Layer">Block, the encoder's first; -1 outside all blocks (embedding, head).</param>
/// <param name="Kind">Matrix kind, for example <c>gate</c>, <c>down</c> or <c>attention.q</c>.</param>
/// <param name="Encoding"><c>codebook</c>, <c>ternary</c>, <c>int3</c>, or the stored type of what was kept, for
/// example <c>bf16</c>.</param>
/// <param name="Weights">Number of weights.</param>
/// <param name="Bytes">Their bytes, all metadata counted.</param>
public sealed record CompressedCell(int Layer, string Kind, string Encoding, long Weights, long Bytes)
{
    /// <summary>Weights per code; null for other encodings.</summary>
    public int? Dimension { get; init; }

    /// <summary>Codes per group of weights; null for other encodings.</summary>
    public int? Stages { get; init; }

    /// <summary>Which experts, where a kind's experts differ, for example <c>0-15</c>; null: all.</summary>
    public string? Experts { get; init; }

    /// <summary>Whether these weights count as expert weights.</summary>
    public bool Routed { get; init; }

    /// <summary>Divergence in nats with this cell alone compressed; null where it was not measured.</summary>
    public double? Kl { get; init; }

    /// <summary>Mean square of the error of the cell's outputs over that of the outputs; null where it was not
    /// measured.</summary>
    public double? LayerError { get; init; }

    /// <summary>Bits per weight.</summary>
    public double Bits => Weights == 0 ? 0 : 8.0 * Bytes / Weights;

    /// <summary>Encoding in a word: <c>D8</c>, <c>D8x2</c>, <c>int3</c>.</summary>
    public string Label => (Dimension, Stages) switch
    {
        ({ } dimension, null or 1) => FormattableString.Invariant($"D{dimension}"),
        ({ } dimension, { } stages) => FormattableString.Invariant($"D{dimension}x{stages}"),
        _ => Encoding,
    };
}

/// <summary>Calibration tokens that reached the experts of one layer.</summary>
/// <param name="Layer">Block, the encoder's first.</param>
/// <param name="Tokens">Tokens by expert.</param>
public sealed record ExpertCoverage(int Layer, IReadOnlyList<long> Tokens);
