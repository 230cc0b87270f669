namespace MoeKernels.Compression;

/// <summary>What a compression did and what it cost: written beside the weights as <c>report.md</c>,
/// <c>report.json</c>, <c>loss.svg</c> and <c>bits.svg</c>, and read back from the folder.</summary>
/// <remarks>Lists are in the order in which they were filled; figures that were not measured are null, never
/// guessed.</remarks>
public sealed record CompressionReport
{
    /// <summary>Value of the JSON's <c>schema</c>; fields are only ever added to it.</summary>
    public const string SchemaName = "moe.compress/1";

    /// <summary><see cref="SchemaName"/>.</summary>
    public string Schema { get; init; } = SchemaName;

    /// <summary>Folder that was compressed, as it was named.</summary>
    public required string Source { get; init; }

    /// <summary>Folder that was written, as it was named.</summary>
    public required string Output { get; init; }

    /// <summary>The config's <c>model_type</c>.</summary>
    public required string Family { get; init; }

    /// <summary><c>codebook</c>, <c>qmoe</c> or <c>int</c>.</summary>
    public required string Method { get; init; }

    /// <summary>Everything that decides the result: budget, calibration text, damping and so on.</summary>
    public required IReadOnlyList<ReportSetting> Settings { get; init; }

    /// <summary>Parameters and bytes before and after.</summary>
    public required CompressedSizes Sizes { get; init; }

    /// <summary>The compressed model beside its source, one entry a text; older reports may have none.</summary>
    public IReadOnlyList<ReportQuality> Quality { get; init; } = [];

    /// <summary>Time and memory.</summary>
    public required CompressionCost Cost { get; init; }

    /// <summary>What every part of the model got.</summary>
    public required IReadOnlyList<CompressedCell> Cells { get; init; }

    /// <summary>Calibration tokens per expert, one entry a layer with experts.</summary>
    public required IReadOnlyList<ExpertCoverage> Coverage { get; init; }

    /// <summary>The curve the allocator saw; empty when bits were not allocated.</summary>
    public IReadOnlyList<AllocationPoint> Curve { get; init; } = [];

    /// <summary>Other methods on the same model and text.</summary>
    public IReadOnlyList<ComparisonPoint> Comparisons { get; init; } = [];

    /// <summary>What a reader should know beyond the figures, one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Experts that no calibration token reached: they were rounded.</summary>
    public long RoundedExperts => Coverage.Sum(layer => layer.Tokens.LongCount(tokens => tokens == 0));

    /// <summary>Reads the report of a compressed folder.</summary>
    /// <param name="folder">Folder that holds <c>report.json</c>.</param>
    /// <exception cref="MoeFormatException">There is no report, or it is none of schema
    /// <see cref="SchemaName"/>.</exception>
    public static CompressionReport Read(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        return ReportJson.Read(Path.Combine(folder, ReportFiles.Json));
    }

    /// <summary>Whether a folder holds a report.</summary>
    /// <param name="folder">Any folder.</param>
    public static bool Exists(string folder) => File.Exists(Path.Combine(folder, ReportFiles.Json));

    /// <summary>The report as Markdown; its pictures are the files beside it.</summary>
    public string ToMarkdown() => ReportMarkdown.Write(this);

    /// <summary>The report as one line of JSON.</summary>
    public string ToJson() => ReportJson.WriteLine(this);

    /// <summary>Writes the four files, each appearing whole or not at all; the JSON comes last, so that a folder with
    /// a readable report has the pictures too.</summary>
    /// <param name="folder">Existing folder.</param>
    /// <exception cref="MoeException">A file cannot be written.</exception>
    public void Write(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ReportFiles.Write(this, folder);
    }
}

/// <summary>One setting of a compression.</summary>
/// <param name="Name">As the option is called, for example <c>bits</c>.</param>
/// <param name="Value">Its value as text.</param>
public sealed record ReportSetting(string Name, string Value);

/// <summary>How well the compressed model does on a text.</summary>
/// <param name="Text">Which text: a file name or what a group of files is.</param>
/// <param name="Result">Figures with the source model as the reference.</param>
public sealed record ReportQuality(string Text, Generation.Evaluation.EvaluationResult Result);

/// <summary>Another method's result on the same model and text.</summary>
/// <param name="Method">For example <c>qmoe</c> or <c>plain rounding</c>.</param>
/// <param name="Bits">Bits per expert weight, all metadata counted.</param>
/// <param name="Kl">Mean divergence from the source model in nats.</param>
public sealed record ComparisonPoint(string Method, double Bits, double Kl);

/// <summary>A choice the allocator looked at.</summary>
/// <param name="Bits">Bits per expert weight.</param>
/// <param name="PredictedKl">Sum of the cells' divergences in nats; null where nothing was predicted.</param>
/// <param name="MeasuredKl">Divergence of the whole model with this choice in nats; null where it was not
/// run.</param>
/// <param name="Chosen">Whether this is what was written.</param>
public sealed record AllocationPoint(double Bits, double? PredictedKl, double? MeasuredKl, bool Chosen = false);
