using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>Case conversions of <c>str</c>, with the mappings that change a text's length.</summary>
internal static class PyCase
{
    private const int CapitalSigma = 0x3A3;

    public static string Upper(string text) => Map(text, (codes, i) => CaseTable.ToUpper(codes[i]));

    public static string Lower(string text) => Map(text, Lower);

    public static string Fold(string text) => Map(text, (codes, i) => CaseTable.Fold(codes[i]));

    public static string Capitalize(string text) =>
        Map(text, (codes, i) => i == 0 ? CaseTable.ToTitle(codes[0]) : Lower(codes, i));

    /// <summary>A cased letter after an uncased one starts a word.</summary>
    public static string Title(string text) => Map(text, (codes, i) =>
        i > 0 && PyChar.IsCased(codes[i - 1]) ? Lower(codes, i) : CaseTable.ToTitle(codes[i]));

    public static string Swap(string text) => Map(text, (codes, i) =>
        PyChar.IsUpper(codes[i]) ? Lower(codes, i)
        : PyChar.IsLower(codes[i]) ? CaseTable.ToUpper(codes[i])
        : PyText.FromCodes([codes[i]]));

    private static string Map(string text, Func<int[], int, string> map)
    {
        int[] codes = PyText.Codes(text);
        Budget.ChargeText((long)text.Length * 2);
        var result = new StringBuilder(text.Length);
        for (int i = 0; i < codes.Length; i++)
            result.Append(codes[i] is >= 0xD800 and < 0xE000 ? ((char)codes[i]).ToString() : map(codes, i));
        return result.ToString();
    }

    private static string Lower(int[] codes, int at) =>
        codes[at] == CapitalSigma && IsFinal(codes, at) ? "\u03C2" : CaseTable.ToLower(codes[at]);

    /// <summary>A sigma is final after a cased letter and before none, looking past marks and apostrophes.</summary>
    private static bool IsFinal(int[] codes, int at)
    {
        int before = at - 1, after = at + 1;
        while (before >= 0 && IsIgnorable(codes[before]))
            before--;
        while (after < codes.Length && IsIgnorable(codes[after]))
            after++;
        Budget.ChargeSteps(after - before);
        return before >= 0 && PyChar.IsCased(codes[before])
            && (after == codes.Length || !PyChar.IsCased(codes[after]));
    }

    private static bool IsIgnorable(int code) => code is '\'' or '.' or ':' or 0xB7 or 0x387 or 0x55F or 0x5F4
        or 0x2018 or 0x2019 or 0x2024 or 0x2027 or 0xFE13 or 0xFE52 or 0xFE55 or 0xFF07 or 0xFF0E or 0xFF1A
        || PyChar.IsMarkOrModifier(code);
}
