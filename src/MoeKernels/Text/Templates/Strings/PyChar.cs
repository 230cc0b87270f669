using System.Globalization;

namespace MoeKernels.Text.Templates;

/// <summary>Character classes by code point, as Python's <c>str.is...</c> methods define them.</summary>
internal static class PyChar
{
    // Han characters with a numeric value (Unihan), which .NET does not list.
    private static readonly int[] HanNumbers =
    [
        0x3405, 0x3483, 0x382A, 0x3B4D, 0x4E00, 0x4E03, 0x4E07, 0x4E09, 0x4E5D, 0x4E8C, 0x4E94, 0x4E96, 0x4EBF,
        0x4EC0, 0x4EDF, 0x4EE8, 0x4F0D, 0x4F70, 0x5104, 0x5146, 0x5169, 0x516B, 0x516D, 0x5341, 0x5343, 0x5344,
        0x5345, 0x534C, 0x53C1, 0x53C2, 0x53C3, 0x53C4, 0x56DB, 0x58F1, 0x58F9, 0x5E7A, 0x5EFE, 0x5EFF, 0x5F0C,
        0x5F0D, 0x5F0E, 0x5F10, 0x62FE, 0x634C, 0x67D2, 0x6F06, 0x7396, 0x767E, 0x8086, 0x842C, 0x8CAE, 0x8CB3,
        0x8D30, 0x9621, 0x9646, 0x964C, 0x9678, 0x96F6, 0x20001, 0x20064, 0x200E2, 0x20121, 0x2092A, 0x20983,
        0x2098C, 0x2099C, 0x20AEA, 0x20AFD, 0x20B19, 0x22390, 0x22998, 0x23B1B, 0x2626D,
    ];

    private static UnicodeCategory Category(int code) => CharUnicodeInfo.GetUnicodeCategory(code);

    public static bool IsAlpha(int code) => Category(code) is UnicodeCategory.UppercaseLetter
        or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter
        or UnicodeCategory.OtherLetter;

    public static bool IsDecimal(int code) => Category(code) == UnicodeCategory.DecimalDigitNumber;

    public static bool IsDigit(int code) => CharUnicodeInfo.GetDigitValue(Text(code), 0) >= 0;

    public static bool IsNumeric(int code) =>
        CharUnicodeInfo.GetNumericValue(Text(code), 0) != -1 || Array.BinarySearch(HanNumbers, code) >= 0;

    public static bool IsAlphanumeric(int code) => IsAlpha(code) || IsNumeric(code) || IsDigit(code);

    /// <summary>Letters and signs that do not end a word when case is mapped.</summary>
    public static bool IsMarkOrModifier(int code) => Category(code) is UnicodeCategory.NonSpacingMark
        or UnicodeCategory.EnclosingMark or UnicodeCategory.Format or UnicodeCategory.ModifierLetter
        or UnicodeCategory.ModifierSymbol;

    public static bool IsTitle(int code) => Category(code) == UnicodeCategory.TitlecaseLetter;

    public static bool IsUpper(int code) => Category(code) switch
    {
        UnicodeCategory.UppercaseLetter => true,
        UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter => false,
        _ => CaseTable.IsOtherUpper(code),
    };

    public static bool IsLower(int code) => Category(code) switch
    {
        UnicodeCategory.LowercaseLetter => true,
        UnicodeCategory.UppercaseLetter or UnicodeCategory.TitlecaseLetter => false,
        _ => CaseTable.IsOtherLower(code),
    };

    public static bool IsCased(int code) => IsUpper(code) || IsLower(code) || IsTitle(code);

    public static bool IsPrintable(int code) => code == ' ' || Category(code) is not (UnicodeCategory.Control
        or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);

    /// <summary>May follow the first character of an identifier.</summary>
    public static bool IsIdentifierPart(int code) => code == '_' || IsAlpha(code) || Category(code) is
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
        or UnicodeCategory.ConnectorPunctuation or UnicodeCategory.LetterNumber;

    private static string Text(int code) =>
        code is < 0x10000 ? ((char)code).ToString() : char.ConvertFromUtf32(code);
}
