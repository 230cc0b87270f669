using System.Globalization;

namespace MoeKernels.Cli.Output;

/// <summary>Numbers as people read them.</summary>
internal static class Units
{
    private static readonly string[] ByteUnits = ["B", "KiB", "MiB", "GiB", "TiB"];
    private static readonly string[] CountUnits = ["", " K", " M", " B", " T"];

    /// <summary><c>3.4 GiB</c>.</summary>
    public static string Bytes(long bytes) => Scaled(bytes, 1024, ByteUnits, " ");

    /// <summary><c>30.5 B</c> for 30.5 billion.</summary>
    public static string Count(long count) => Scaled(count, 1000, CountUnits, string.Empty);

    /// <summary>A number with three significant places.</summary>
    public static string Number(double value) => value.ToString("G4", CultureInfo.InvariantCulture);

    /// <summary>A number with so many decimals.</summary>
    public static string Fixed(double value, int decimals) =>
        value.ToString($"F{decimals}", CultureInfo.InvariantCulture);

    /// <summary>Reads <c>512MiB</c>, <c>8GiB</c>, <c>8GB</c> or plain bytes.</summary>
    public static bool TryParseBytes(string text, out long bytes)
    {
        (string Suffix, double Factor)[] units =
        [
            ("KiB", 1024), ("MiB", 1048576), ("GiB", 1073741824), ("TiB", 1099511627776),
            ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1),
        ];
        var (suffix, factor) = units.FirstOrDefault(
            unit => text.EndsWith(unit.Suffix, StringComparison.OrdinalIgnoreCase), (string.Empty, 1));
        bool parsed = double.TryParse(
            text[..^suffix.Length], NumberStyles.Float, CultureInfo.InvariantCulture, out double value);
        parsed &= value >= 0 && value * factor < long.MaxValue;
        bytes = parsed ? (long)(value * factor) : 0;
        return parsed;
    }

    private static string Scaled(long value, double step, string[] units, string space)
    {
        double scaled = value;
        int unit = 0;
        while (scaled >= step && unit < units.Length - 1)
        {
            scaled /= step;
            unit++;
        }

        string format = unit == 0 ? "0" : "0.0#";
        return scaled.ToString(format, CultureInfo.InvariantCulture) + space + units[unit];
    }
}
