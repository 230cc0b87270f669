using System.Globalization;

namespace MoeKernels.Compression;

/// <summary>Loss against bits: the curve the allocator saw, what was chosen, what it measured in the end, and other
/// methods.</summary>
internal static class LossFigure
{
    private const double Width = 760;
    private const double Left = 72;
    private const double Top = 68;
    private const double PlotWidth = 660;
    private const double PlotHeight = 320;
    private const double LegendTop = Top + PlotHeight + 62;
    private const double LegendRow = 20;

    private static readonly MarkShape[] ComparisonShapes = [MarkShape.Square, MarkShape.Triangle, MarkShape.Wedge];

    /// <summary>A line with markers and its name.</summary>
    private sealed record Series(
        string Name, string Css, MarkShape? Shape, string? Line, (double Bits, double Kl)[] Points);

    public static string Draw(CompressionReport report)
    {
        var picture = new SvgPicture("Divergence from the source model against bits per expert weight");
        picture.Text(20, 30, "Loss against bits per expert weight", "ink head");
        Series[] series = [.. AllSeries(report).Where(series => series.Points.Length > 0)];
        if (series.Length == 0)
        {
            picture.Text(20, 60, "No divergence was measured.", "soft");
            return picture.ToString(Width, 90);
        }

        var points = series.SelectMany(one => one.Points).ToArray();
        var axes = new LogAxes(
            Left, Top, PlotWidth, PlotHeight,
            [.. points.Select(point => point.Bits)], [.. points.Select(point => point.Kl)]);
        DrawAxes(picture, axes);
        foreach (var one in series)
        {
            Draw(picture, axes, one);
        }

        return picture.ToString(Width, DrawLegend(picture, series));
    }

    private static IEnumerable<Series> AllSeries(CompressionReport report)
    {
        var curve = report.Curve.OrderBy(point => point.Bits).ToArray();
        yield return new Series(
            "predicted by the allocator", "s0", null, "curve dashed",
            Points(curve, point => point.Bits, point => point.PredictedKl));
        yield return new Series(
            "measured by the allocator", "mark s0", MarkShape.Dot, "curve s0",
            Points(curve, point => point.Bits, point => point.MeasuredKl));
        yield return new Series(
            "chosen", "ring s0", MarkShape.Ring, null,
            Points(curve.Where(point => point.Chosen), p => p.Bits, p => p.MeasuredKl ?? p.PredictedKl));
        double bits = report.Sizes.ExpertBits;
        yield return new Series(
            "this model on " + string.Join(", ", report.Quality.Select(quality => quality.Text)),
            "mark s1", MarkShape.Diamond, null, Points(report.Quality, _ => bits, quality => quality.Result.Kl));
        int color = 2;
        foreach (var method in report.Comparisons.GroupBy(point => point.Method, StringComparer.Ordinal))
        {
            yield return new Series(
                method.Key, $"mark s{color % SvgPicture.SeriesColors}",
                ComparisonShapes[color % ComparisonShapes.Length],
                $"curve s{color % SvgPicture.SeriesColors}",
                Points(method.OrderBy(point => point.Bits), point => point.Bits, point => point.Kl));
            color++;
        }
    }

    /// <summary>The points that have both figures.</summary>
    private static (double Bits, double Kl)[] Points<T>(
        IEnumerable<T> items, Func<T, double> bits, Func<T, double?> kl) =>
    [
        .. items.Select(item => (Bits: bits(item), Kl: kl(item) ?? double.NaN))
            .Where(point => double.IsFinite(point.Bits) && double.IsFinite(point.Kl)),
    ];

    private static void DrawAxes(SvgPicture picture, LogAxes axes)
    {
        foreach (double tick in axes.BitTicks)
        {
            double x = axes.X(tick);
            picture.Line(x, Top, x, Top + PlotHeight, "grid");
            picture.Text(x, Top + PlotHeight + 18, Short(tick), "soft", "middle");
        }

        foreach (double tick in axes.DivergenceTicks)
        {
            double y = axes.Y(tick);
            picture.Line(Left, y, Left + PlotWidth, y, "grid");
            picture.Text(Left - 8, y + 4, Short(tick), "soft", "end");
        }

        picture.Box(Left, Top, PlotWidth, PlotHeight, "area axis");
        picture.Text(Left + (PlotWidth / 2), Top + PlotHeight + 38, "bits per expert weight", "ink", "middle");
        picture.Text(Left, Top - 8, "KL divergence from the source model, nats per token", "ink");
    }

    private static void Draw(SvgPicture picture, LogAxes axes, Series series)
    {
        if (series.Line is { } line && series.Points.Length > 1)
        {
            picture.Polyline(
                series.Points.Select(point => (axes.X(point.Bits), axes.Y(point.Kl))),
                series.Shape is null ? $"{line} {series.Css}" : line);
        }

        foreach (var (bits, kl) in series.Shape is null && series.Points.Length > 1 ? [] : series.Points)
        {
            string hint = string.Create(
                CultureInfo.InvariantCulture, $"{series.Name}: {bits:0.###} bits, KL {kl:0.#####}");
            picture.Mark(
                axes.X(bits), axes.Y(kl), series.Shape ?? MarkShape.Dot,
                series.Shape is null ? $"mark {series.Css}" : series.Css, hint);
        }
    }

    /// <summary>Names below the plot, as many a row as fit; returns where they end.</summary>
    private static double DrawLegend(SvgPicture picture, Series[] series)
    {
        double x = Left, y = LegendTop;
        foreach (var one in series)
        {
            string name = one.Name.Length > 80 ? string.Concat(one.Name.AsSpan(0, 77), "...") : one.Name;
            double width = 48 + (name.Length * SvgPicture.CharacterWidth);
            if (x > Left && x + width > Width - 20)
            {
                (x, y) = (Left, y + LegendRow);
            }

            if (one.Line is { } line && one.Points.Length > 1)
            {
                picture.Polyline([(x - 10, y - 4), (x + 10, y - 4)], one.Shape is null ? $"{line} {one.Css}" : line);
            }

            if (one.Shape is { } shape)
            {
                picture.Mark(x, y - 4, shape, one.Css.Replace("mark", "key mark", StringComparison.Ordinal));
            }

            picture.Text(x + 16, y, name, "ink");
            x += width;
        }

        return y + 20;
    }

    private static string Short(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);
}
