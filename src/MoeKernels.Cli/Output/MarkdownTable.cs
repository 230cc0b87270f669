using System.Text;

namespace MoeKernels.Cli.Output;

/// <summary>A table as Markdown that also reads well on a terminal: the first column to the left, the others to the
/// right.</summary>
internal sealed class MarkdownTable(params string[] headers)
{
    private readonly List<string[]> _rows = [];

    public void Add(params string[] cells) => _rows.Add(cells);

    public override string ToString()
    {
        int[] widths =
        [
            .. headers.Select((header, i) => Math.Max(
                3, _rows.Select(row => row[i].Length).Append(header.Length).Max())),
        ];
        var text = new StringBuilder();
        Write(text, headers, widths);
        Write(text, [.. widths.Select((width, i) => new string('-', width - 1) + (i == 0 ? "-" : ":"))], widths);
        foreach (string[] row in _rows)
        {
            Write(text, row, widths);
        }

        return text.ToString();
    }

    private static void Write(StringBuilder text, string[] cells, int[] widths)
    {
        for (int i = 0; i < cells.Length; i++)
        {
            text.Append("| ").Append(i == 0 ? cells[i].PadRight(widths[i]) : cells[i].PadLeft(widths[i])).Append(' ');
        }

        text.Append("|\n");
    }
}
