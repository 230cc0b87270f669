using System.Text;

namespace MoeKernels.Compression;

/// <summary>The report's files in a folder.</summary>
internal static class ReportFiles
{
    public const string Json = "report.json";
    public const string Markdown = "report.md";
    public const string LossPicture = "loss.svg";
    public const string BitsPicture = "bits.svg";

    /// <summary>All names, the JSON last.</summary>
    public static IReadOnlyList<string> Names { get; } = [LossPicture, BitsPicture, Markdown, Json];

    public static void Write(CompressionReport report, string folder)
    {
        Write(folder, LossPicture, Utf8(LossFigure.Draw(report)));
        Write(folder, BitsPicture, Utf8(BitsFigure.Draw(report)));
        Write(folder, Markdown, Utf8(ReportMarkdown.Write(report)));
        Write(folder, Json, ReportJson.Write(report));
    }

    private static void Write(string folder, string name, ReadOnlySpan<byte> bytes) =>
        AtomicFile.Write(Path.Combine(folder, name), bytes);

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
