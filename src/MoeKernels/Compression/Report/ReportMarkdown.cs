using System.Globalization;

namespace MoeKernels.Compression;

/// <summary>The report for people.</summary>
internal static class ReportMarkdown
{
    /// <summary>Experts without tokens are listed up to this many a layer.</summary>
    private const int ListedExperts = 64;

    /// <summary>Bits above which other weights are worth compressing too.</summary>
    private const double WideBits = 5;

    public static string Write(CompressionReport report)
    {
        var text = new MarkdownText();
        text.Paragraph($"# {MarkdownText.Plain(FolderName(report.Output))}");
        text.Paragraph(
            $"{MarkdownText.Plain(FolderName(report.Source))} ({MarkdownText.Plain(report.Family)}), experts at "
            + $"{MarkdownText.Fixed(report.Sizes.ExpertBits, 3)} bits per weight "
            + $"(method {MarkdownText.Plain(report.Method)}), all metadata counted.");
        WriteSizes(text, report.Sizes);
        WriteQuality(text, report);
        text.Paragraph($"![Loss against bits]({ReportFiles.LossPicture})");
        text.Paragraph($"![Where the bits went]({ReportFiles.BitsPicture})");
        WriteAdvice(text, report);
        WriteCells(text, report.Cells);
        WriteCurve(text, report);
        WriteCoverage(text, report);
        WriteCost(text, report);
        text.Paragraph("## Settings");
        text.Table(
            ["setting", "value"],
            report.Settings.Select(setting => new[] { setting.Name, setting.Value })
                .Prepend(["output", report.Output]).Prepend(["source", report.Source]));
        return text.ToString();
    }

    private static string FolderName(string path)
    {
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(path));
        return name.Length == 0 ? path : name;
    }

    private static void WriteSizes(MarkdownText text, CompressedSizes sizes) => text.Table(
        ["size", "source", "compressed"],
        [
            ["bits per expert weight", Bits(sizes.SourceExpertBytes, sizes.ExpertWeights),
                MarkdownText.Fixed(sizes.ExpertBits, 3)],
            ["bits per parameter", Bits(sizes.SourceWeightBytes, sizes.Parameters),
                MarkdownText.Fixed(sizes.BitsPerParameter, 3)],
            ["expert weights", MarkdownText.Bytes(sizes.SourceExpertBytes), MarkdownText.Bytes(sizes.ExpertBytes)],
            ["all weights", MarkdownText.Bytes(sizes.SourceWeightBytes), MarkdownText.Bytes(sizes.WeightBytes)],
            ["folder on disk", "-", MarkdownText.Bytes(sizes.DiskBytes)],
            ["resident when running, as planned", MarkdownText.Bytes(sizes.SourceResidentBytes),
                MarkdownText.Bytes(sizes.ResidentBytes)],
        ]);

    private static string Bits(long bytes, long weights) =>
        weights == 0 ? "-" : MarkdownText.Fixed(8.0 * bytes / weights, 3);

    private static void WriteQuality(MarkdownText text, CompressionReport report)
    {
        text.Paragraph("## Quality");
        if (report.Quality.Count == 0)
        {
            text.Paragraph("The result was not evaluated.");
            return;
        }

        text.Table(
            ["text", "perplexity before", "after", "nll before", "after", "KL mean", "KL 99 %", "same top token",
                "tokens", "windows"],
            report.Quality.Select(quality =>
            {
                var result = quality.Result;
                return new[]
                {
                    quality.Text, MarkdownText.Fixed(result.ReferencePerplexity, 3),
                    MarkdownText.Fixed(result.Perplexity, 3), MarkdownText.Fixed(result.ReferenceNll, 4),
                    MarkdownText.Fixed(result.Nll, 4), MarkdownText.Fixed(result.Kl, 4),
                    MarkdownText.Fixed(result.Kl99, 4), Percent(result.SameTop), Count(result.Tokens),
                    Count(result.Windows),
                };
            }));
        text.Paragraph(
            "KL is the divergence from the source model in nats per token; 99 % of the tokens lie below the second "
            + "figure. \"Same top token\" counts where both models rank the same token first.");
    }

    /// <summary>Says where the remaining bytes are, when they are not where the user looked.</summary>
    private static void WriteAdvice(MarkdownText text, CompressionReport report)
    {
        foreach (string note in report.Notes)
        {
            text.Paragraph(MarkdownText.Plain(note));
        }

        long otherBytes = report.Sizes.WeightBytes - report.Sizes.ExpertBytes;
        long otherWeights = report.Sizes.Parameters - report.Sizes.ExpertWeights;
        double bits = otherWeights > 0 ? 8.0 * otherBytes / otherWeights : 0;
        if (bits > WideBits && otherBytes * 4 > report.Sizes.WeightBytes)
        {
            text.Paragraph(
                $"{Percent((double)otherBytes / report.Sizes.WeightBytes)} of the bytes are weights outside the "
                + $"experts at {MarkdownText.Fixed(bits, 1)} bits: `--dense-bits 4` would take them to about "
                + $"{MarkdownText.Bytes(otherWeights / 2)}.");
        }
    }

    private static void WriteCells(MarkdownText text, IReadOnlyList<CompressedCell> cells)
    {
        text.Paragraph("## What got what");
        text.Table(
            ["matrices", "weights", "bytes", "bits", "from", "to"],
            cells.GroupBy(cell => cell.Kind, StringComparer.Ordinal).Select(kind => new[]
            {
                kind.Key, Count(kind.Sum(cell => cell.Weights)), MarkdownText.Bytes(kind.Sum(cell => cell.Bytes)),
                Bits(kind.Sum(cell => cell.Bytes), kind.Sum(cell => cell.Weights)),
                kind.MinBy(cell => cell.Bits)!.Label, kind.MaxBy(cell => cell.Bits)!.Label,
            }));
        if (cells.Count == 0)
        {
            return;
        }

        text.Details($"All {Count(cells.Count)} cells", details => details.Table(
            ["layer", "matrices", "encoding", "bits", "KL of this cell alone", "layer error"],
            cells.Select(cell => new[]
            {
                cell.Layer < 0 ? "-" : Count(cell.Layer),
                cell.Experts is { } experts ? $"{cell.Kind}, experts {experts}" : cell.Kind, cell.Label,
                MarkdownText.Fixed(cell.Bits, 3), MarkdownText.Fixed(cell.Kl, 5),
                MarkdownText.Fixed(cell.LayerError, 5),
            })));
    }

    private static void WriteCurve(MarkdownText text, CompressionReport report)
    {
        if (report.Curve.Count + report.Comparisons.Count == 0)
        {
            return;
        }

        text.Paragraph("## Loss against bits");
        text.Table(
            ["bits per expert weight", "KL predicted", "KL measured", "chosen"],
            report.Curve.Select(point => new[]
            {
                MarkdownText.Fixed(point.Bits, 3), MarkdownText.Fixed(point.PredictedKl, 4),
                MarkdownText.Fixed(point.MeasuredKl, 4), point.Chosen ? "yes" : string.Empty,
            }));
        text.Table(
            ["other method", "bits per expert weight", "KL measured"],
            report.Comparisons.Select(point => new[]
            {
                point.Method, MarkdownText.Fixed(point.Bits, 3), MarkdownText.Fixed(point.Kl, 4),
            }));
    }

    private static void WriteCoverage(MarkdownText text, CompressionReport report)
    {
        ExpertCoverage[] layers = [.. report.Coverage.Where(layer => layer.Tokens.Count > 0)];
        if (layers.Length == 0)
        {
            return;
        }

        text.Paragraph("## Calibration tokens per expert");
        text.Table(
            ["layer", "least", "median", "most", "experts without tokens"],
            layers.Select(layer => (layer.Layer, Summary: new CoverageSummary(layer.Tokens))).Select(layer => new[]
            {
                Count(layer.Layer), Count(layer.Summary.Least), Count(layer.Summary.Median), Count(layer.Summary.Most),
                Count(layer.Summary.WithoutTokens),
            }));
        text.Table(
            ["tokens", "experts"],
            new CoverageSummary(layers.SelectMany(layer => layer.Tokens)).Histogram().Select(bar => new[]
            {
                bar.To == 0 ? "none" : $"{Count(bar.From)} to {Count(bar.To)}", Count(bar.Experts),
            }));
        text.Paragraph(report.RoundedExperts == 0
            ? "Every expert saw calibration tokens."
            : $"{Count(report.RoundedExperts)} experts saw no calibration token and were rounded to the nearest code:");
        foreach (var layer in layers)
        {
            WriteRounded(text, layer);
        }
    }

    private static void WriteRounded(MarkdownText text, ExpertCoverage layer)
    {
        string[] rounded =
        [
            .. layer.Tokens.Index().Where(expert => expert.Item <= 0).Select(expert => Count(expert.Index)),
        ];
        if (rounded.Length > 0)
        {
            int hidden = rounded.Length - ListedExperts;
            string more = hidden > 0 ? $" and {Count(hidden)} more" : string.Empty;
            text.Paragraph($"- layer {Count(layer.Layer)}: {string.Join(", ", rounded.Take(ListedExperts))}{more}");
        }
    }

    private static void WriteCost(MarkdownText text, CompressionReport report)
    {
        var cost = report.Cost;
        text.Paragraph("## Time and memory");
        List<string[]> rows =
        [
            [cost.CalibrationSeconds is null ? "calibration and quantising" : "quantising",
                MarkdownText.Duration(cost.QuantizingSeconds)],
            ["allocation", MarkdownText.Duration(cost.AllocationSeconds)],
            ["evaluation", MarkdownText.Duration(cost.EvaluationSeconds)],
            ["other methods", MarkdownText.Duration(cost.ComparisonSeconds)],
            ["texts, writing, checksums", MarkdownText.Duration(cost.OtherSeconds)],
            ["in all", MarkdownText.Duration(cost.TotalSeconds)],
            ["peak memory", MarkdownText.Bytes(cost.PeakBytes)],
        ];
        if (cost.PlannedSeconds is { } planned)
        {
            rows.Insert(rows.Count - 1, ["in all, as planned", MarkdownText.Duration(planned)]);
        }

        rows.RemoveAll(row => row[0] == "other methods" && cost.ComparisonSeconds == 0);
        if (cost.CalibrationSeconds is { } calibration)
        {
            rows.Insert(0, ["calibration", MarkdownText.Duration(calibration)]);
        }

        if (cost.PlannedPeakBytes is { } bytes)
        {
            rows.Add(["peak memory, as planned", MarkdownText.Bytes(bytes)]);
        }

        text.Table([$"on {Count(cost.Threads)} threads", "took"], rows);
    }

    private static string Count(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Percent(double? fraction) =>
        fraction is { } value ? $"{MarkdownText.Fixed(100 * value, 1)} %" : "-";
}
