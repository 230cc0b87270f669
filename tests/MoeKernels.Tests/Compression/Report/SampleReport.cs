using MoeKernels.Compression;
using MoeKernels.Generation.Evaluation;

namespace MoeKernels.Tests.Compression.Report;

/// <summary>Made-up reports of any size.</summary>
internal static class SampleReport
{
    public static CompressionReport Create(int layers = 4, int experts = 32, params string[] kinds)
    {
        kinds = kinds.Length == 0 ? ["gate", "up", "down"] : kinds;
        return new CompressionReport
        {
            Source = "models/novelist-m",
            Output = "out/novelist-1b",
            Family = "qwen3_moe",
            Method = "codebook",
            Settings = [new ReportSetting("bits", "1"), new ReportSetting("calibration", "book.txt")],
            Sizes = new CompressedSizes
            {
                ExpertWeights = 8_000_000, ExpertBytes = 1_000_123, Parameters = 9_000_000, WeightBytes = 3_000_123,
                SourceExpertBytes = 16_000_000, SourceWeightBytes = 18_000_000, DiskBytes = 3_100_000,
                ResidentBytes = 60_000_000, SourceResidentBytes = 80_000_000,
            },
            Quality =
            [
                new ReportQuality("validation", new EvaluationResult(3.9, 49_152, 96)
                {
                    ReferenceNll = 3.85, Kl = 0.0541, Kl99 = 0.71, SameTop = 0.91,
                }),
            ],
            Cost = new CompressionCost
            {
                CalibrationSeconds = 12.25, QuantizingSeconds = 75.5, AllocationSeconds = 3700, EvaluationSeconds = 4,
                PeakBytes = 1_234_567_890, PlannedSeconds = 4000, PlannedPeakBytes = 1_300_000_000, Threads = 2,
            },
            Cells =
            [
                .. from layer in Enumerable.Range(0, layers)
                   from kind in kinds
                   select Cell(layer, kind, 4 + ((layer * 7) + kind.Length) % 13),
            ],
            Coverage =
            [
                .. Enumerable.Range(0, layers).Select(layer => new ExpertCoverage(
                    layer, [.. Enumerable.Range(0, experts).Select(expert => (long)expert * expert * (layer + 1))])),
            ],
            Curve =
            [
                .. Enumerable.Range(5, 20).Select(i => new AllocationPoint(
                    i / 10.0, Math.Exp(-i / 4.0), i % 3 == 0 ? Math.Exp(-i / 4.0) * 1.3 : null, Chosen: i == 9)),
            ],
            Comparisons =
            [
                new ComparisonPoint("qmoe", 1.11, 0.179), new ComparisonPoint("plain rounding", 2.25, 0.6),
                new ComparisonPoint("plain rounding", 3.25, 0.05),
            ],
            Notes = ["Codebooks were trained on 4 of 32 experts."],
        };
    }

    public static CompressedCell Cell(int layer, string kind, int dimension) =>
        new(layer, kind, "codebook", 65_536, (65_536 / dimension) + 1024)
        {
            Dimension = dimension, Stages = dimension % 3 == 0 ? 2 : 1, Routed = true, Kl = 0.01 / dimension,
            LayerError = 0.1,
        };
}
