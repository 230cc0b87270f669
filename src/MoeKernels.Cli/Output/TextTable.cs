using System.Text;

namespace MoeKernels.Cli.Output;

/// <summary>A plain table: columns as wide as their longest cell, numbers to the right.</summary>
internal sealed class TextTable(params string[] headers)
{
    private readonly List<string[]> _rows = [];

    public void Add(params string[] cells) => _rows.Add(cells);

    public override string ToString()
    {
        int[] widths =
        [
            .. headers.Select((header, i) => _rows.Select(row => row[i].Length).Append(header.Length).Max()),
        ];
        var text = new StringBuilder();
        foreach (string[] row in _rows.Prepend(headers))
        {
            for (int i = 0; i < row.Length; i++)
            {
                bool number = row[i].Length > 0 && char.IsAsciiDigit(row[i][0]);
                text.Append(number ? row[i].PadLeft(widths[i]) : row[i].PadRight(widths[i]));
                text.Append(i < row.Length - 1 ? "  " : "\n");
            }
        }

        return string.Join('\n', text.ToString().Split('\n').Select(line => line.TrimEnd()));
    }
}
