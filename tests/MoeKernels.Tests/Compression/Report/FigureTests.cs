using System.Globalization;
using System.Xml.Linq;
using MoeKernels.Compression;
using MoeKernels.Generation.Evaluation;

namespace MoeKernels.Tests.Compression.Report;

/// <summary>Pictures are valid XML, show everything, and keep inside their own lines.</summary>
public class FigureTests
{
    public static TheoryData<string> Reports => [.. Cases.Keys];

    private static Dictionary<string, CompressionReport> Cases { get; } = new()
    {
        ["usual"] = SampleReport.Create(),
        ["one layer"] = SampleReport.Create(1, 2, "down"),
        ["thousands of cells"] = SampleReport.Create(94, 160, [.. Enumerable.Range(0, 24).Select(i => $"kind {i}")]),
        ["zero divergence"] = SampleReport.Create() with
        {
            Curve = [new AllocationPoint(1, 0, 0, Chosen: true)],
            Comparisons = [new ComparisonPoint("int", 4, 0)],
            Quality = [new ReportQuality("t", new EvaluationResult(1, 1, 1) { Kl = 0 })],
        },
        ["one point"] = SampleReport.Create() with
        {
            Curve = [new AllocationPoint(1, null, 0.5)],
            Comparisons = [],
            Quality = [],
        },
        ["wide range"] = SampleReport.Create() with
        {
            Curve = [new AllocationPoint(0.5, 1e-12, 30), new AllocationPoint(16, double.NaN, -1e-9)],
        },
        ["markup in names"] = SampleReport.Create(2, 2, "<b>&\"|\u0001\uFFFF\uD800") with
        {
            Comparisons = [new ComparisonPoint("a<b>&\"c", 1, 1)],
        },
    };

    [Theory]
    [MemberData(nameof(Reports))]
    public void Loss_EveryMark_LiesInTheArea(string name)
    {
        var picture = XDocument.Parse(LossFigure.Draw(Cases[name]));
        var area = WithClass(picture, "area").Single();
        double left = Value(area, "x"), top = Value(area, "y");
        double right = left + Value(area, "width"), bottom = top + Value(area, "height");
        var marks = WithClass(picture, "mark").Concat(WithClass(picture, "ring")).Where(mark => !HasClass(mark, "key"));
        var places = marks.Select(Translation).Where(place => place.Y <= bottom).ToArray();
        Assert.Equal(ExpectedMarks(Cases[name]), places.Length);
        Assert.All(places, place =>
        {
            Assert.InRange(place.X, left, right);
            Assert.InRange(place.Y, top, bottom);
        });
        AssertInsidePage(picture);
    }

    [Theory]
    [MemberData(nameof(Reports))]
    public void Bits_EveryCell_LiesInTheMapOnce(string name)
    {
        var report = Cases[name];
        var picture = XDocument.Parse(BitsFigure.Draw(report));
        var boxes = WithClass(picture, "cell").ToArray();
        Assert.Equal(report.Cells.Select(cell => (cell.Layer, cell.Kind)).Distinct().Count(), boxes.Length);
        Assert.Equal(boxes.Length, boxes.Select(box => (Value(box, "x"), Value(box, "y"))).Distinct().Count());
        AssertInsidePage(picture);
    }

    [Fact]
    public void Bits_MoreBits_GetAHigherStep()
    {
        var report = SampleReport.Create() with
        {
            Cells = [.. Enumerable.Range(0, 13).Select(layer => SampleReport.Cell(layer, "down", 16 - layer) with
            {
                Bytes = 4_000 * (layer + 1),
            })],
        };
        int[] steps = [.. WithClass(XDocument.Parse(BitsFigure.Draw(report)), "cell")
            .Select(box => box.Attribute("class")!.Value[^1] - '0')];
        Assert.Equal(steps.Order(), steps);
        Assert.Equal((0, SvgPicture.RampSteps - 1), (steps[0], steps[^1]));
    }

    [Fact]
    public void Bits_WeightsThatWereKept_LeaveTheColoursToTheRest()
    {
        var report = SampleReport.Create();
        string before = BitsFigure.Draw(report);
        string kept = BitsFigure.Draw(report with
        {
            Cells = [.. report.Cells, new CompressedCell(-1, "norms", "kept", 10, 20)],
        });
        Assert.Equal(Colors(before), Colors(kept).Where(color => color != "cell kept"));
        Assert.Single(Colors(kept), "cell kept");
    }

    private static string[] Colors(string picture) =>
        [.. WithClass(XDocument.Parse(picture), "cell").Select(box => box.Attribute("class")!.Value)];

    [Fact]
    public void Bits_WeightsOutsideBlocks_TakeTheWholeRow()
    {
        var report = SampleReport.Create();
        report = report with { Cells = [.. report.Cells, SampleReport.Cell(-1, "head", 4)] };
        var boxes = WithClass(XDocument.Parse(BitsFigure.Draw(report)), "cell").ToArray();
        Assert.True(Value(boxes[^1], "width") > 3.9 * Value(boxes[0], "width"));
    }

    [Fact]
    public void Bits_PartsOfAKind_BecomeOneCell()
    {
        var report = SampleReport.Create(1, 4, "down");
        report = report with { Cells = [.. report.Cells, SampleReport.Cell(0, "down", 4) with { Experts = "0-1" }] };
        Assert.Single(WithClass(XDocument.Parse(BitsFigure.Draw(report)), "cell"));
        Assert.Contains("mixed", BitsFigure.Draw(report), StringComparison.Ordinal);
    }

    [Fact]
    public void Figures_WithNothingToShow_SaySo()
    {
        var report = SampleReport.Create() with { Curve = [], Comparisons = [], Quality = [], Cells = [] };
        Assert.Contains("No divergence", LossFigure.Draw(report), StringComparison.Ordinal);
        Assert.Contains("Nothing was compressed", BitsFigure.Draw(report), StringComparison.Ordinal);
        AssertInsidePage(XDocument.Parse(LossFigure.Draw(report)));
    }

    [Fact]
    public void Figures_SameReport_GiveTheSameBytes()
    {
        Assert.Equal(LossFigure.Draw(SampleReport.Create()), LossFigure.Draw(SampleReport.Create()));
        Assert.Equal(BitsFigure.Draw(SampleReport.Create()), BitsFigure.Draw(SampleReport.Create()));
    }

    /// <summary>Limits are round, hold the values, and ticks lie between them.</summary>
    [Fact]
    public void Axes_RandomValues_LieBetweenTheTicks()
    {
        var random = new Random(5);
        for (int i = 0; i < 500; i++)
        {
            double[] bits = [.. Enumerable.Range(0, 1 + random.Next(4)).Select(_ => 0.5 + (16 * random.NextDouble()))];
            double[] kl =
                [.. Enumerable.Range(0, 1 + random.Next(4)).Select(_ => Math.Exp((20 * random.NextDouble()) - 15))];
            var axes = new LogAxes(10, 20, 100, 200, bits, kl);
            Assert.All(bits, value => Assert.InRange(axes.X(value), 10 - 1e-6, 110 + 1e-6));
            Assert.All(kl, value => Assert.InRange(axes.Y(value), 20 - 1e-6, 220 + 1e-6));
            Assert.True(axes.Y(kl.Max()) <= axes.Y(kl.Min()));
            Assert.InRange(axes.BitTicks.Count(), 2, 12);
            Assert.InRange(axes.DivergenceTicks.Count(), 2, 13);
            Assert.All(axes.BitTicks, tick => Assert.InRange(axes.X(tick), 10 - 1e-6, 110 + 1e-6));
        }
    }

    private static int ExpectedMarks(CompressionReport report)
    {
        int predicted = report.Curve.Count(point => point.PredictedKl is { } kl && double.IsFinite(kl));
        return (predicted == 1 ? 1 : 0)
            + report.Curve.Count(point => point.MeasuredKl is not null)
            + report.Curve.Count(point => point.Chosen)
            + report.Quality.Count(quality => quality.Result.Kl is not null)
            + report.Comparisons.Count;
    }

    private static void AssertInsidePage(XDocument picture)
    {
        double width = Value(picture.Root!, "width"), height = Value(picture.Root!, "height");
        foreach (var box in picture.Descendants().Where(element => element.Name.LocalName == "rect"))
        {
            Assert.InRange(Value(box, "x") + Value(box, "width"), 0, width);
            Assert.InRange(Value(box, "y") + Value(box, "height"), 0, height);
            Assert.True(Value(box, "width") > 0 && Value(box, "height") > 0);
        }

        foreach (var text in picture.Descendants().Where(element => element.Name.LocalName == "text"))
        {
            Assert.InRange(Value(text, "x"), 0, width);
            Assert.InRange(Value(text, "y"), 0, height);
        }
    }

    private static IEnumerable<XElement> WithClass(XDocument picture, string css) =>
        picture.Descendants().Where(element => HasClass(element, css));

    private static bool HasClass(XElement element, string css) =>
        element.Attribute("class")?.Value.Split(' ').Contains(css) == true;

    private static double Value(XElement element, string attribute) =>
        double.Parse(element.Attribute(attribute)!.Value, CultureInfo.InvariantCulture);

    private static (double X, double Y) Translation(XElement element)
    {
        string[] numbers = element.Attribute("transform")!.Value["translate(".Length..^1].Split(' ');
        return (
            double.Parse(numbers[0], CultureInfo.InvariantCulture),
            double.Parse(numbers[1], CultureInfo.InvariantCulture));
    }
}
