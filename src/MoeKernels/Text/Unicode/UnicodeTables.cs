using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace MoeKernels.Text.Unicode;

/// <summary>
/// Character data the reference tokenizers use, in the Unicode version each of their parts was built with.
/// </summary>
/// <remarks>
/// General categories of Unicode 16 come from <see cref="CharUnicodeInfo"/> (the same version in .NET 10). The rest is
/// in the embedded <c>unicode.bin</c>, which tests/golden/make_unicode_tables.py writes from the Unicode Character
/// Database: scripts, binary properties and case folding of Unicode 16, decompositions, combining classes and marks of
/// Unicode 9, and the categories BERT's normalizer asks for of Unicode 8.
/// </remarks>
internal static class UnicodeTables
{
    private static readonly Dictionary<string, int[]> Records = ReadRecords();
    private static readonly ConcurrentDictionary<string, CodePointSet?> Sets = new();

    // In the order of UnicodeCategory.
    private static readonly string[] Short =
        "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Zs Zl Zp Cc Cf Cs Co Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Cn".Split(' ');

    private static readonly string[] Long = (
        "Uppercase_Letter Lowercase_Letter Titlecase_Letter Modifier_Letter Other_Letter Nonspacing_Mark "
        + "Spacing_Mark Enclosing_Mark Decimal_Number Letter_Number Other_Number Space_Separator Line_Separator "
        + "Paragraph_Separator Control Format Surrogate Private_Use Connector_Punctuation Dash_Punctuation "
        + "Open_Punctuation Close_Punctuation Initial_Punctuation Final_Punctuation Other_Punctuation Math_Symbol "
        + "Currency_Symbol Modifier_Symbol Other_Symbol Unassigned").Split(' ');

    private static readonly Dictionary<string, string> Groups = new()
    {
        ["letter"] = "l", ["mark"] = "m", ["combiningmark"] = "m", ["number"] = "n", ["punctuation"] = "p",
        ["symbol"] = "s", ["separator"] = "z", ["other"] = "c", ["casedletter"] = "lc",
    };

    private static readonly CodePointSet[] Categories = CollectCategories();

    /// <summary>Cc, Cf and Co of Unicode 8.</summary>
    public static CodePointSet Other8 { get; } = RangeSet("8:other")!;

    /// <summary>Mn of Unicode 8.</summary>
    public static CodePointSet NonspacingMark8 { get; } = RangeSet("8:mn")!;

    /// <summary>P of Unicode 8 and the ASCII symbols the reference counts as punctuation.</summary>
    public static CodePointSet Punctuation8 { get; } = RangeSet("8:punctuation")!.Union(
        CodePointSet.Of((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)));

    /// <summary>M of Unicode 9.</summary>
    public static CodePointSet Mark9 { get; } = RangeSet("9:mark")!;

    /// <summary>Code points that Unicode 9 assigns.</summary>
    public static CodePointSet Assigned9 { get; } = RangeSet("9:assigned")!;

    /// <summary>White_Space.</summary>
    public static CodePointSet WhiteSpace { get; } = RangeSet("p:White_Space")!;

    /// <summary>N: what Rust's <c>char::is_numeric</c> accepts.</summary>
    public static CodePointSet Number { get; } = Category("N")!;

    /// <summary>Alphabetic, marks, decimal digits, connector punctuation: <c>\w</c> of Oniguruma.</summary>
    public static CodePointSet Word { get; } =
        Alphabetic().Union(Category("M")!).Union(Category("Nd")!).Union(Category("Pc")!);

    /// <summary><c>\w</c> of Rust's regular expressions: also the joiners U+200C and U+200D.</summary>
    public static CodePointSet RustWord { get; } = Word.Union(CodePointSet.Of((0x200C, 0x200D)));

    /// <summary>Values of one record of <c>unicode.bin</c>.</summary>
    public static int[] Values(string name) => Records[name];

    /// <summary>Names of all scripts as Unicode writes them, for example <c>Old_Italic</c>.</summary>
    public static IEnumerable<string> ScriptNames =>
        Records.Keys.Where(k => k.StartsWith("s:", StringComparison.Ordinal)).Select(k => k[2..]);

    public static CodePointSet Script(string name) => RangeSet("s:" + name)!;

    /// <summary>Alphabetic of Unicode 16.</summary>
    public static CodePointSet Alphabetic() => Category("L")!.Union(Category("Nl")!)
        .Union(RangeSet("p:Other_Alphabetic")!);

    /// <summary>
    /// Finds a script, binary property or general category by the name a pattern gives; spaces, underscores, hyphens
    /// and case do not matter.
    /// </summary>
    public static CodePointSet? Property(string name) => Sets.GetOrAdd(Fold(name), FindProperty);

    private static CodePointSet? FindProperty(string folded)
    {
        if (Category(folded) is { } category)
            return category;
        foreach (var key in Records.Keys)
        {
            if (key.StartsWith("a:", StringComparison.Ordinal) && Fold(key[2..6]) == folded)
                return RangeSet("s:" + key[7..]);
            if ((key[0] is 'p' or 's') && key[1] == ':' && Fold(key[2..]) == folded)
                return RangeSet(key);
        }

        return folded switch
        {
            "any" => CodePointSet.All,
            "assigned" => Category("Cn")!.Negate(),
            "ascii" => CodePointSet.Of((0, 0x7F)),
            "alphabetic" => Alphabetic(),
            "lowercase" => Category("Ll")!.Union(RangeSet("p:Other_Lowercase")!),
            "uppercase" => Category("Lu")!.Union(RangeSet("p:Other_Uppercase")!),
            _ => null,
        };
    }

    private static string Fold(string name) =>
        string.Concat(name.Where(c => c is not (' ' or '_' or '-'))).ToLowerInvariant();

    /// <summary>General category by its short or long name; null if there is none of that name.</summary>
    public static CodePointSet? Category(string name)
    {
        var folded = Fold(name);
        if (folded.Length == 0)
            return null;
        if (Groups.TryGetValue(folded, out var group))
            folded = group;
        if (folded == "lc")
            return Categories[0].Union(Categories[1]).Union(Categories[2]);
        CodePointSet? result = null;
        for (var i = 0; i < Short.Length; i++)
        {
            if (folded == Fold(Short[i]) || folded == Fold(Long[i]) || folded == Fold(Short[i][..1]))
                result = result is null ? Categories[i] : result.Union(Categories[i]);
        }

        return result;
    }

    private static CodePointSet[] CollectCategories()
    {
        var ranges = Enumerable.Range(0, Short.Length).Select(_ => new List<(int Low, int High)>()).ToArray();
        for (var c = 0; c <= CodePointSet.MaxCodePoint; c++)
        {
            var list = ranges[(int)CharUnicodeInfo.GetUnicodeCategory(c)];
            if (list.Count > 0 && list[^1].High == c - 1)
                list[^1] = (list[^1].Low, c);
            else
                list.Add((c, c));
        }

        return [.. ranges.Select(r => CodePointSet.Of(r))];
    }

    private static CodePointSet? RangeSet(string name)
    {
        var values = Records[name];
        var ranges = new (int, int)[values.Length / 2];
        var end = 0;
        for (var i = 0; i < ranges.Length; i++)
        {
            var low = end + values[2 * i];
            ranges[i] = (low, low + values[2 * i + 1]);
            end = low + values[2 * i + 1] + 1;
        }

        return CodePointSet.Of(ranges);
    }

    private static Dictionary<string, int[]> ReadRecords()
    {
        using var stream = typeof(UnicodeTables).Assembly.GetManifestResourceStream("unicode.bin")!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        var records = new Dictionary<string, int[]>();
        var position = 0;
        while (position < bytes.Length)
        {
            int length = bytes[position++];
            var name = Encoding.ASCII.GetString(bytes, position, length);
            position += length;
            var values = new int[ReadVarint(bytes, ref position)];
            for (var i = 0; i < values.Length; i++)
                values[i] = ReadVarint(bytes, ref position);
            records[name] = values;
        }

        return records;
    }

    private static int ReadVarint(byte[] bytes, ref int position)
    {
        var value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var b = bytes[position++];
            value |= (b & 127) << shift;
            if (b < 128)
                return value;
        }
    }
}
