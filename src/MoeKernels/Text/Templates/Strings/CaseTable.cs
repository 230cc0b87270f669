namespace MoeKernels.Text.Templates;

/// <summary>
/// What Unicode's case mappings (SpecialCasing.txt, DerivedCoreProperties.txt) add to the one-to-one mappings that
/// .NET has without ICU.
/// </summary>
internal static class CaseTable
{
    // Upper-case forms the invariant mapping of .NET lacks: a character, then what it becomes.
    private const string Upper =
        "\u00DFSS|\u0131I|\u0149\u02BCN|\u017FS|\u01F0J\u030C|\u0390\u0399\u0308\u0301|" +
        "\u03B0\u03A5\u0308\u0301|\u0587\u0535\u0552|\u1E96H\u0331|\u1E97T\u0308|\u1E98W\u030A|\u1E99Y\u030A|" +
        "\u1E9AA\u02BE|\u1F50\u03A5\u0313|\u1F52\u03A5\u0313\u0300|\u1F54\u03A5\u0313\u0301|" +
        "\u1F56\u03A5\u0313\u0342|\u1F80\u1F08\u0399|\u1F81\u1F09\u0399|\u1F82\u1F0A\u0399|" +
        "\u1F83\u1F0B\u0399|\u1F84\u1F0C\u0399|\u1F85\u1F0D\u0399|\u1F86\u1F0E\u0399|\u1F87\u1F0F\u0399|" +
        "\u1F88\u1F08\u0399|\u1F89\u1F09\u0399|\u1F8A\u1F0A\u0399|\u1F8B\u1F0B\u0399|\u1F8C\u1F0C\u0399|" +
        "\u1F8D\u1F0D\u0399|\u1F8E\u1F0E\u0399|\u1F8F\u1F0F\u0399|\u1F90\u1F28\u0399|\u1F91\u1F29\u0399|" +
        "\u1F92\u1F2A\u0399|\u1F93\u1F2B\u0399|\u1F94\u1F2C\u0399|\u1F95\u1F2D\u0399|\u1F96\u1F2E\u0399|" +
        "\u1F97\u1F2F\u0399|\u1F98\u1F28\u0399|\u1F99\u1F29\u0399|\u1F9A\u1F2A\u0399|\u1F9B\u1F2B\u0399|" +
        "\u1F9C\u1F2C\u0399|\u1F9D\u1F2D\u0399|\u1F9E\u1F2E\u0399|\u1F9F\u1F2F\u0399|\u1FA0\u1F68\u0399|" +
        "\u1FA1\u1F69\u0399|\u1FA2\u1F6A\u0399|\u1FA3\u1F6B\u0399|\u1FA4\u1F6C\u0399|\u1FA5\u1F6D\u0399|" +
        "\u1FA6\u1F6E\u0399|\u1FA7\u1F6F\u0399|\u1FA8\u1F68\u0399|\u1FA9\u1F69\u0399|\u1FAA\u1F6A\u0399|" +
        "\u1FAB\u1F6B\u0399|\u1FAC\u1F6C\u0399|\u1FAD\u1F6D\u0399|\u1FAE\u1F6E\u0399|\u1FAF\u1F6F\u0399|" +
        "\u1FB2\u1FBA\u0399|\u1FB3\u0391\u0399|\u1FB4\u0386\u0399|\u1FB6\u0391\u0342|" +
        "\u1FB7\u0391\u0342\u0399|\u1FBC\u0391\u0399|\u1FC2\u1FCA\u0399|\u1FC3\u0397\u0399|" +
        "\u1FC4\u0389\u0399|\u1FC6\u0397\u0342|\u1FC7\u0397\u0342\u0399|\u1FCC\u0397\u0399|" +
        "\u1FD2\u0399\u0308\u0300|\u1FD3\u0399\u0308\u0301|\u1FD6\u0399\u0342|\u1FD7\u0399\u0308\u0342|" +
        "\u1FE2\u03A5\u0308\u0300|\u1FE3\u03A5\u0308\u0301|\u1FE4\u03A1\u0313|\u1FE6\u03A5\u0342|" +
        "\u1FE7\u03A5\u0308\u0342|\u1FF2\u1FFA\u0399|\u1FF3\u03A9\u0399|\u1FF4\u038F\u0399|" +
        "\u1FF6\u03A9\u0342|\u1FF7\u03A9\u0342\u0399|\u1FFC\u03A9\u0399|\uFB00FF|\uFB01FI|\uFB02FL|\uFB03FFI|" +
        "\uFB04FFL|\uFB05ST|\uFB06ST|\uFB13\u0544\u0546|\uFB14\u0544\u0535|\uFB15\u0544\u053B|" +
        "\uFB16\u054E\u0546|\uFB17\u0544\u053D|";

    // Title-case forms that differ from the upper-case ones.
    private const string Title =
        "\u00DFSs|\u01C4\u01C5|\u01C5\u01C5|\u01C6\u01C5|\u01C7\u01C8|\u01C8\u01C8|\u01C9\u01C8|\u01CA\u01CB|" +
        "\u01CB\u01CB|\u01CC\u01CB|\u01F1\u01F2|\u01F2\u01F2|\u01F3\u01F2|\u0587\u0535\u0582|" +
        "\u1FB2\u1FBA\u0345|\u1FB3\u1FBC|\u1FB4\u0386\u0345|\u1FB7\u0391\u0342\u0345|\u1FBC\u1FBC|" +
        "\u1FC2\u1FCA\u0345|\u1FC3\u1FCC|\u1FC4\u0389\u0345|\u1FC7\u0397\u0342\u0345|\u1FCC\u1FCC|" +
        "\u1FF2\u1FFA\u0345|\u1FF3\u1FFC|\u1FF4\u038F\u0345|\u1FF7\u03A9\u0342\u0345|\u1FFC\u1FFC|\uFB00Ff|" +
        "\uFB01Fi|\uFB02Fl|\uFB03Ffi|\uFB04Ffl|\uFB05St|\uFB06St|\uFB13\u0544\u0576|\uFB14\u0544\u0565|" +
        "\uFB15\u0544\u056B|\uFB16\u054E\u0576|\uFB17\u0544\u056D|";

    // Case foldings that are neither the lower-case form nor that of the upper-case form.
    private const string Folded =
        "\u00B5\u03BC|\u0345\u03B9|\u03C2\u03C3|\u03D0\u03B2|\u03D1\u03B8|\u03D5\u03C6|\u03D6\u03C0|" +
        "\u03F0\u03BA|\u03F1\u03C1|\u03F5\u03B5|\u1C80\u0432|\u1C81\u0434|\u1C82\u043E|\u1C83\u0441|" +
        "\u1C84\u0442|\u1C85\u0442|\u1C86\u044A|\u1C87\u0463|\u1C88\uA64B|\u1E9B\u1E61|\u1E9Ess|\u1FBE\u03B9|";

    private static readonly (int First, int Last)[] OtherUpper =
    [
        (0x2160, 0x216F), (0x24B6, 0x24CF), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189),
    ];

    private static readonly (int First, int Last)[] OtherLower =
    [
        (0xAA, 0xAA), (0xBA, 0xBA), (0x2B0, 0x2B8), (0x2C0, 0x2C1), (0x2E0, 0x2E4), (0x345, 0x345), (0x37A, 0x37A),
        (0x1D2C, 0x1D6A), (0x1D78, 0x1D78), (0x1D9B, 0x1DBF), (0x2071, 0x2071), (0x207F, 0x207F), (0x2090, 0x209C),
        (0x2170, 0x217F), (0x24D0, 0x24E9), (0x2C7C, 0x2C7D), (0xA69C, 0xA69D), (0xA770, 0xA770), (0xA7F8, 0xA7F9),
        (0xAB5C, 0xAB5F), (0x10780, 0x10780), (0x10783, 0x10785), (0x10787, 0x107B0), (0x107B2, 0x107BA),
    ];

    private static readonly Dictionary<int, string> UpperForms = Read(Upper);
    private static readonly Dictionary<int, string> TitleForms = Read(Title);
    private static readonly Dictionary<int, string> FoldedForms = Read(Folded);

    public static bool IsOtherUpper(int code) => OtherUpper.Any(range => code >= range.First && code <= range.Last);

    public static bool IsOtherLower(int code) => OtherLower.Any(range => code >= range.First && code <= range.Last);

    public static string ToUpper(int code) =>
        UpperForms.TryGetValue(code, out string? form) ? form : Text(code).ToUpperInvariant();

    /// <summary>Lower case without context; the final sigma is up to the caller.</summary>
    public static string ToLower(int code) => code == 0x130 ? "i\u0307" : Text(code).ToLowerInvariant();

    public static string ToTitle(int code) => code switch
    {
        >= 0x10D0 and <= 0x10FF => Text(code),
        >= 0x1F80 and <= 0x1FAF => Text(code | 8),
        _ => TitleForms.TryGetValue(code, out string? form) ? form : ToUpper(code),
    };

    public static string Fold(int code)
    {
        if (FoldedForms.TryGetValue(code, out string? form))
            return form;
        bool cherokee = code is >= 0x13A0 and <= 0x13FD or >= 0xAB70 and <= 0xABBF;
        if (cherokee)
            return ToUpper(code);
        return code != 0x131 && UpperForms.TryGetValue(code, out string? upper)
            ? string.Concat(PyText.Codes(upper).Select(ToLower))
            : ToLower(code);
    }

    private static string Text(int code) =>
        code < 0x10000 ? ((char)code).ToString() : char.ConvertFromUtf32(code);

    private static Dictionary<int, string> Read(string table) => table
        .Split('|', StringSplitOptions.RemoveEmptyEntries)
        .ToDictionary(entry => (int)entry[0], entry => entry[1..]);
}
