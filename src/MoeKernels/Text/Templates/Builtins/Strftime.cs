using System.Globalization;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary><c>datetime.strftime</c> in the C locale of glibc, with its flags <c>- _ 0 ^ #</c> and widths.</summary>
internal static class Strftime
{
    private const int MaxWidth = 1_000;

    private static readonly string[] Days =
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

    private static readonly string[] Months =
    [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ];

    public static string Format(DateTime time, string format)
    {
        var result = new StringBuilder();
        for (int at = 0; at < format.Length; at++)
        {
            int start = at;
            if (format[at] != '%' || at + 1 == format.Length)
            {
                result.Append(format[at]);
                continue;
            }

            char flag = '\0';
            for (at++; at < format.Length && "-_0^#".Contains(format[at], StringComparison.Ordinal); at++)
                flag = format[at];
            int width = 0;
            for (; at < format.Length && char.IsAsciiDigit(format[at]); at++)
                width = Math.Min(MaxWidth, (width * 10) + format[at] - '0');
            string? field = at < format.Length ? Field(time, format[at], flag, width) : null;
            // Unknown directives stay as they are.
            result.Append(field ?? format[start..Math.Min(format.Length, at + 1)]);
            Budget.ChargeText(width + 16);
        }

        return result.ToString();
    }

    private static string? Field(DateTime time, char directive, char flag, int width)
    {
        if (Number(time, directive) is (int value, int digits, char padding))
        {
            char fill = flag switch { '-' => '\0', '_' => ' ', '0' => '0', _ => padding };
            string text = value.ToString(CultureInfo.InvariantCulture);
            return fill == '\0' ? text : text.PadLeft(Math.Max(width, digits), fill);
        }

        string? name = Text(time, directive);
        if (name is not null && flag == '^')
            name = name.ToUpperInvariant();
        if (name is not null && flag == '#')
            name = directive == 'p' ? name.ToLowerInvariant() : name.ToUpperInvariant();
        return name?.PadLeft(width, flag == '0' ? '0' : ' ');
    }

    private static (int Value, int Digits, char Padding)? Number(DateTime time, char directive)
    {
        int weekday = (int)time.DayOfWeek;
        int hour12 = time.Hour % 12 == 0 ? 12 : time.Hour % 12;
        return directive switch
        {
            'C' => (time.Year / 100, 2, '0'),
            'd' => (time.Day, 2, '0'),
            'e' => (time.Day, 2, ' '),
            'f' => ((int)(time.Ticks % TimeSpan.TicksPerSecond / 10), 6, '0'),
            'g' => (ISOWeek.GetYear(time) % 100, 2, '0'),
            'G' => (ISOWeek.GetYear(time), 1, '0'),
            'H' => (time.Hour, 2, '0'),
            'I' => (hour12, 2, '0'),
            'j' => (time.DayOfYear, 3, '0'),
            'k' => (time.Hour, 2, ' '),
            'l' => (hour12, 2, ' '),
            'm' => (time.Month, 2, '0'),
            'M' => (time.Minute, 2, '0'),
            'S' => (time.Second, 2, '0'),
            'u' => (weekday == 0 ? 7 : weekday, 1, '0'),
            'U' => ((time.DayOfYear + 6 - weekday) / 7, 2, '0'),
            'V' => (ISOWeek.GetWeekOfYear(time), 2, '0'),
            'w' => (weekday, 1, '0'),
            'W' => ((time.DayOfYear + 6 - ((weekday + 6) % 7)) / 7, 2, '0'),
            'y' => (time.Year % 100, 2, '0'),
            'Y' => (time.Year, 1, '0'),
            _ => null,
        };
    }

    private static string? Text(DateTime time, char directive) => directive switch
    {
        'a' => Days[(int)time.DayOfWeek][..3],
        'A' => Days[(int)time.DayOfWeek],
        'b' or 'h' => Months[time.Month - 1][..3],
        'B' => Months[time.Month - 1],
        'c' => Format(time, "%a %b %e %H:%M:%S %Y"),
        'D' or 'x' => Format(time, "%m/%d/%y"),
        'F' => Format(time, "%Y-%m-%d"),
        'n' => "\n",
        'p' => time.Hour < 12 ? "AM" : "PM",
        'P' => time.Hour < 12 ? "am" : "pm",
        'r' => Format(time, "%I:%M:%S %p"),
        'R' => Format(time, "%H:%M"),
        's' => new DateTimeOffset(time, TimeSpan.Zero).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
        't' => "\t",
        'T' or 'X' => Format(time, "%H:%M:%S"),
        // The clock of templates has no time zone.
        'z' or 'Z' => "",
        '%' => "%",
        _ => null,
    };
}
