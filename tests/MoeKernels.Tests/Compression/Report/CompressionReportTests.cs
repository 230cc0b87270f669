using System.Text.Json;
using MoeKernels.Compression;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Compression.Report;

public class CompressionReportTests
{
    [Fact]
    public void Write_AndRead_GiveTheSameReport()
    {
        using var folder = new TempFolder();
        var report = SampleReport.Create();
        report.Write(folder.Path);
        Assert.Equal(
            ["bits.svg", "loss.svg", "report.json", "report.md"],
            Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order());
        var read = CompressionReport.Read(folder.Path);
        Assert.Equal(ReportJson.Write(report), ReportJson.Write(read));
        Assert.Equal(report.Sizes, read.Sizes);
        Assert.Equal(report.Cost, read.Cost);
        Assert.Equal(report.Cells, read.Cells);
        Assert.Equal(report.Curve, read.Curve);
        Assert.Equal(report.Quality, read.Quality);
        Assert.Equal(report.Comparisons, read.Comparisons);
        Assert.Equal(report.Settings, read.Settings);
        Assert.Equal(report.Notes, read.Notes);
        Assert.Equal(report.Coverage[3].Tokens, read.Coverage[3].Tokens);
    }

    [Fact]
    public void Write_Twice_ReplacesTheFiles()
    {
        using var folder = new TempFolder();
        SampleReport.Create().Write(folder.Path);
        (SampleReport.Create() with { Method = "int" }).Write(folder.Path);
        Assert.Equal("int", CompressionReport.Read(folder.Path).Method);
        Assert.Equal(4, Directory.GetFiles(folder.Path).Length);
    }

    [Fact]
    public void Write_FileCannotBeReplaced_LeavesNoPartialFile()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["report.md"]);
        Assert.ThrowsAny<Exception>(() => SampleReport.Create().Write(folder.Path));
        Assert.False(CompressionReport.Exists(folder.Path));
        Assert.Empty(Directory.GetFiles(folder.Path, "*.tmp"));
    }

    [Fact]
    public void Json_NamesAreSnakeCaseAndSchemaComesFirst()
    {
        using var json = JsonDocument.Parse(ReportJson.Write(SampleReport.Create()));
        var first = json.RootElement.EnumerateObject().First();
        Assert.Equal(("schema", "moe.compress/1"), (first.Name, first.Value.GetString()));
        Assert.Equal(1.000123, json.RootElement.GetProperty("sizes").GetProperty("expert_bits").GetDouble(), 6);
        Assert.Equal("D4x2", (SampleReport.Cell(0, "x", 4) with { Stages = 2 }).Label);
        var quality = json.RootElement.GetProperty("quality")[0].GetProperty("result");
        Assert.Equal(0.71, quality.GetProperty("kl_99").GetDouble());
    }

    [Fact]
    public void Json_OnOneLine_SaysTheSame()
    {
        string line = SampleReport.Create().ToJson();
        Assert.DoesNotContain('\n', line);
        using var both = JsonDocument.Parse(ReportJson.Write(SampleReport.Create()));
        Assert.True(JsonElement.DeepEquals(both.RootElement, JsonDocument.Parse(line).RootElement));
    }

    [Fact]
    public void Read_NoReport_NamesTheFile()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<MoeFormatException>(() => CompressionReport.Read(folder.Path));
        Assert.EndsWith("report.json", error.File, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"schema\":3}")]
    [InlineData("{\"schema\":\"moe.compress/2\"}")]
    [InlineData("{\"schema\":\"moe.compress/1\"}")]
    [InlineData("{\"schema\":\"\\ud800\"}")]
    public void Read_OtherJson_IsRefused(string text)
    {
        using var folder = new TempFolder();
        folder.Write("report.json", text);
        Assert.Throws<MoeFormatException>(() => CompressionReport.Read(folder.Path));
    }

    /// <summary>Every value in turn becomes something else: a report or a format error.</summary>
    [Fact]
    public void Read_AnyValueReplaced_IsReadOrRefused()
    {
        using var folder = new TempFolder();
        string text = System.Text.Encoding.UTF8.GetString(ReportJson.Write(SampleReport.Create(1, 2, "down")));
        string[] lines = text.Split('\n');
        int refused = 0;
        foreach (string wrong in new[] { "null", "\"x\"", "[null]", "1e300", "{}" })
        {
            for (int i = 0; i < lines.Length; i++)
            {
                int colon = lines[i].IndexOf(": ", StringComparison.Ordinal);
                if (colon < 0 || lines[i].EndsWith('{') || lines[i].EndsWith('['))
                {
                    continue;
                }

                string[] changed = [.. lines];
                changed[i] = lines[i][..(colon + 2)] + wrong + (lines[i].EndsWith(',') ? "," : string.Empty);
                folder.Write("report.json", string.Join('\n', changed));
                try
                {
                    var report = CompressionReport.Read(folder.Path);
                    _ = ReportMarkdown.Write(report) + LossFigure.Draw(report) + BitsFigure.Draw(report);
                }
                catch (MoeFormatException)
                {
                    refused++;
                }
            }
        }

        Assert.True(refused > 100);
    }

    [Fact]
    public void Markdown_ShowsFiguresAndRoundedExperts()
    {
        string text = ReportMarkdown.Write(SampleReport.Create());
        foreach (string expected in new[]
        {
            "1.000", "0.0541", "91.0 %", "(loss.svg)", "(bits.svg)", "| qmoe | 1.110 | 0.1790 |", "1 h 1 min",
            "4 experts saw no calibration token", "- layer 2: 0", "`--dense-bits 4`", "| 0 | gate | D8 |",
            "All 12 cells",
        })
        {
            Assert.Contains(expected, text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Markdown_NoEvaluationNoExperts_SaysSo()
    {
        var report = SampleReport.Create() with
        {
            Quality = [],
            Coverage = [],
            Cells = [],
            Curve = [],
            Comparisons = [],
        };
        string text = ReportMarkdown.Write(report);
        Assert.Contains("not evaluated", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Calibration tokens", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Markdown_BarsAndBreaksInNames_StayInTheirCell()
    {
        string text = ReportMarkdown.Write(SampleReport.Create(1, 1, "a|b\nc"));
        Assert.Contains("| a\\|b c |", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Coverage_Histogram_CountsEveryExpertOnce()
    {
        var summary = new CoverageSummary([5, 0, 64, 3, 15, 16, long.MaxValue]);
        Assert.Equal((0, 15, long.MaxValue, 1), (summary.Least, summary.Median, summary.Most, summary.WithoutTokens));
        var bars = summary.Histogram().ToArray();
        Assert.Equal(7, bars.Sum(bar => bar.Experts));
        Assert.Equal([(0, 0, 1), (1, 3, 1), (4, 15, 2), (16, 63, 1), (64, 255, 1)], bars.Take(5));
    }
}
