using System.Globalization;
using System.Text;

namespace MoeKernels.Compression;

/// <summary>Builds a Markdown file; text from outside cannot break its tables.</summary>
internal sealed class MarkdownText
{
    private static readonly string[] ByteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    private readonly StringBuilder _text = new();

    /// <summary>A line as it is, and an empty one.</summary>
    public MarkdownText Paragraph(string text)
    {
        _text.Append(text).Append("\n\n");
        return this;
    }

    /// <summary>A table; the columns behind the first are numbers, to the right. Nothing without rows.</summary>
    public MarkdownText Table(IReadOnlyList<string> headers, IEnumerable<string[]> rows)
    {
        string[][] all = [.. rows];
        if (all.Length == 0)
        {
            return this;
        }

        Row(headers);
        Row([.. headers.Select((_, i) => i == 0 ? "---" : "---:")], isRule: true);
        foreach (string[] row in all)
        {
            Row(row);
        }

        _text.Append('\n');
        return this;
    }

    /// <summary>Lets the reader unfold what <paramref name="write"/> adds.</summary>
    public MarkdownText Details(string summary, Action<MarkdownText> write)
    {
        _text.Append(CultureInfo.InvariantCulture, $"<details><summary>{Plain(summary)}</summary>\n\n");
        write(this);
        _text.Append("</details>\n\n");
        return this;
    }

    public override string ToString() => _text.ToString().TrimEnd('\n') + "\n";

    /// <summary>Text that stays text: no markup and one line.</summary>
    public static string Plain(string text)
    {
        var plain = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            _ = c switch
            {
                '<' => plain.Append("&lt;"),
                '|' or '`' or '*' or '_' or '[' or ']' or '\\' => plain.Append('\\').Append(c),
                _ => plain.Append(char.IsControl(c) ? ' ' : c),
            };
        }

        return plain.ToString();
    }

    /// <summary>A number with so many decimals.</summary>
    public static string Fixed(double value, int decimals) =>
        value.ToString($"F{decimals}", CultureInfo.InvariantCulture);

    /// <summary>The same, and a dash for what was not measured.</summary>
    public static string Fixed(double? value, int decimals) => value is { } known ? Fixed(known, decimals) : "-";

    /// <summary><c>3.4 GiB</c>.</summary>
    public static string Bytes(long bytes)
    {
        double scaled = bytes;
        int unit = 0;
        while (scaled >= 1024 && unit < ByteUnits.Length - 1)
        {
            scaled /= 1024;
            unit++;
        }

        return scaled.ToString(unit == 0 ? "0" : "0.0#", CultureInfo.InvariantCulture) + " " + ByteUnits[unit];
    }

    /// <summary><c>1 h 2 min</c>, <c>2 min 3 s</c> or <c>3.2 s</c>.</summary>
    public static string Duration(double seconds)
    {
        var invariant = CultureInfo.InvariantCulture;
        double whole = Math.Floor(seconds);
        return seconds < 60 ? string.Create(invariant, $"{seconds:0.0} s")
            : seconds < 3600 ? string.Create(invariant, $"{Math.Floor(whole / 60)} min {whole % 60} s")
            : string.Create(invariant, $"{Math.Floor(whole / 3600)} h {Math.Floor(whole % 3600 / 60)} min");
    }

    private void Row(IReadOnlyList<string> cells, bool isRule = false) =>
        _text.Append("| ").AppendJoin(" | ", cells.Select(cell => isRule ? cell : Plain(cell))).Append(" |\n");
}
