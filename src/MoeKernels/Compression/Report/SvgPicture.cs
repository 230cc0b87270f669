using System.Globalization;
using System.Text;

namespace MoeKernels.Compression;

/// <summary>Builds an SVG picture that reads well on light and dark pages: it brings its own background and both sets
/// of colours. The same calls give the same bytes.</summary>
/// <param name="title">Shown by browsers and read by screen readers.</param>
internal sealed class SvgPicture(string title)
{
    /// <summary>Colours of series before they repeat.</summary>
    public const int SeriesColors = 6;

    /// <summary>Steps of the colour ramp.</summary>
    public const int RampSteps = 9;

    /// <summary>Rough width of a character of the 12 px font.</summary>
    public const double CharacterWidth = 6.6;

    private const string LightColors =
        ".page{fill:#fff;stroke:#d1d9e0}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d8dee4}.axis{stroke:#59636e}"
        + ".s0{color:#0969da}.s1{color:#bc4c00}.s2{color:#1a7f37}.s3{color:#8250df}.s4{color:#bf3989}.s5{color:#9a6700}"
        + ".b0{fill:#e8f1fa}.b1{fill:#d6e5f4}.b2{fill:#c6dbef}.b3{fill:#9ecae1}.b4{fill:#6baed6}.b5{fill:#4292c6}"
        + ".b6{fill:#2171b5}.b7{fill:#08519c}.b8{fill:#08306b}"
        + ".t0,.t1,.t2,.t3,.t4{fill:#1f2328}.t5,.t6,.t7,.t8{fill:#fff}.kept{fill:#e6e8eb}";

    private const string DarkColors =
        ".page{fill:#0d1117;stroke:#3d444d}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#262c36}"
        + ".axis{stroke:#9198a1}"
        + ".s0{color:#58a6ff}.s1{color:#f0883e}.s2{color:#3fb950}.s3{color:#bc8cff}.s4{color:#f778ba}.s5{color:#d29922}"
        + ".b0{fill:#0b2039}.b1{fill:#08306b}.b2{fill:#08519c}.b3{fill:#2171b5}.b4{fill:#4292c6}.b5{fill:#6baed6}"
        + ".b6{fill:#9ecae1}.b7{fill:#c6dbef}.b8{fill:#f7fbff}"
        + ".t0,.t1,.t2,.t3{fill:#f0f6fc}.t4,.t5,.t6,.t7,.t8{fill:#0d1117}.kept{fill:#21262d}";

    private readonly StringBuilder _body = new();

    /// <summary>A coordinate or length as SVG writes it, whatever the culture.</summary>
    public static string Number(double value)
    {
        string text = value.ToString("0.##", CultureInfo.InvariantCulture);
        return text == "-0" ? "0" : text;
    }

    public void Line(double x1, double y1, double x2, double y2, string css) =>
        _body.Append(CultureInfo.InvariantCulture,
            $"<line x1=\"{Number(x1)}\" y1=\"{Number(y1)}\" x2=\"{Number(x2)}\" y2=\"{Number(y2)}\" ")
            .Append(CultureInfo.InvariantCulture, $"class=\"{css}\"/>\n");

    /// <summary>A rectangle, with a text that shows when it is pointed at.</summary>
    public void Box(double x, double y, double width, double height, string css, string? hint = null) =>
        _body.Append(CultureInfo.InvariantCulture,
            $"<rect x=\"{Number(x)}\" y=\"{Number(y)}\" width=\"{Number(width)}\" height=\"{Number(height)}\" ")
            .Append(CultureInfo.InvariantCulture, $"class=\"{css}\">{Title(hint)}</rect>\n");

    /// <summary>Text; <paramref name="anchor"/> is <c>start</c>, <c>middle</c> or <c>end</c>.</summary>
    public void Text(double x, double y, string text, string css, string anchor = "start") =>
        _body.Append(CultureInfo.InvariantCulture,
            $"<text x=\"{Number(x)}\" y=\"{Number(y)}\" class=\"{css}\" text-anchor=\"{anchor}\">")
            .Append(Escape(text)).Append("</text>\n");

    /// <summary>A line through points.</summary>
    public void Polyline(IEnumerable<(double X, double Y)> points, string css) =>
        _body.Append(CultureInfo.InvariantCulture, $"<polyline class=\"{css}\" points=\"")
            .AppendJoin(' ', points.Select(point => $"{Number(point.X)},{Number(point.Y)}"))
            .Append("\"/>\n");

    /// <summary>A marker: one of a few shapes, centred on a point.</summary>
    public void Mark(double x, double y, MarkShape shape, string css, string? hint = null) =>
        _body.Append(CultureInfo.InvariantCulture,
            $"<g class=\"{css}\" transform=\"translate({Number(x)} {Number(y)})\"><path d=\"{Path(shape)}\"/>")
            .Append(CultureInfo.InvariantCulture, $"{Title(hint)}</g>\n");

    /// <summary>The whole file.</summary>
    public string ToString(double width, double height) => string.Create(CultureInfo.InvariantCulture, $$"""
        <svg xmlns="http://www.w3.org/2000/svg" width="{{Number(width)}}" height="{{Number(height)}}"
         viewBox="0 0 {{Number(width)}} {{Number(height)}}" role="img">
        <title>{{Escape(title)}}</title>
        <style>
        text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;font-size:12px}
        .head{font-size:14px;font-weight:600}.small{font-size:10px}.grid,.axis{stroke-width:1}.area{fill:none}
        .curve{fill:none;stroke:currentColor;stroke-width:2}.dashed{stroke-dasharray:5 4;stroke-width:1.5}
        .mark{fill:currentColor;stroke:none}.ring{fill:none;stroke:currentColor;stroke-width:2}
        {{LightColors}}
        @media (prefers-color-scheme:dark){{{DarkColors}}}
        </style>
        <rect x="0.5" y="0.5" width="{{Number(width - 1)}}" height="{{Number(height - 1)}}" rx="6" class="page"/>
        {{_body}}</svg>

        """).ReplaceLineEndings("\n");

    private static string Title(string? hint) => hint is null ? string.Empty : $"<title>{Escape(hint)}</title>";

    private static string Path(MarkShape shape) => shape switch
    {
        MarkShape.Dot => "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
        MarkShape.Ring => "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z",
        MarkShape.Diamond => "M0 -6L6 0L0 6L-6 0z",
        MarkShape.Square => "M-4.5 -4.5H4.5V4.5H-4.5z",
        MarkShape.Triangle => "M0 -5.5L5.5 4.5H-5.5z",
        _ => "M-5.5 -4.5H5.5L0 5.5z",
    };

    /// <summary>Text without markup, and without what no XML file may hold.</summary>
    private static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            _ = c switch
            {
                '&' => escaped.Append("&amp;"),
                '<' => escaped.Append("&lt;"),
                '>' => escaped.Append("&gt;"),
                '"' => escaped.Append("&quot;"),
                _ => escaped.Append(char.IsControl(c) || char.IsSurrogate(c) || c >= '\uFFFE' ? '?' : c),
            };
        }

        return escaped.ToString();
    }
}

/// <summary>Shapes of markers.</summary>
internal enum MarkShape
{
    Dot,
    Ring,
    Diamond,
    Square,
    Triangle,
    Wedge,
}
