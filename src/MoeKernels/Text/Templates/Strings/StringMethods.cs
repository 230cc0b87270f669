using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Methods of <c>str</c> by name. Finding one costs nothing; the arguments are checked by the call.</summary>
internal static class StringMethods
{
    private delegate object? Body(string text, Arguments arguments);

    private static readonly Dictionary<string, Body> Methods = new(StringComparer.Ordinal)
    {
        ["capitalize"] = NoArguments(PyCase.Capitalize),
        ["casefold"] = NoArguments(PyCase.Fold),
        ["lower"] = NoArguments(PyCase.Lower),
        ["upper"] = NoArguments(PyCase.Upper),
        ["title"] = NoArguments(PyCase.Title),
        ["swapcase"] = NoArguments(PyCase.Swap),
        ["strip"] = (text, arguments) => Strip(text, arguments, "strip", true, true),
        ["lstrip"] = (text, arguments) => Strip(text, arguments, "lstrip", true, false),
        ["rstrip"] = (text, arguments) => Strip(text, arguments, "rstrip", false, true),
        ["center"] = (text, arguments) => Pad(text, arguments, "center", true, true),
        ["ljust"] = (text, arguments) => Pad(text, arguments, "ljust", false, true),
        ["rjust"] = (text, arguments) => Pad(text, arguments, "rjust", true, false),
        ["zfill"] = ZeroFill,
        ["expandtabs"] = ExpandTabs,
        ["find"] = (text, arguments) => new BigInteger(StringSearch.Find(text, arguments, "find", last: false)),
        ["rfind"] = (text, arguments) => new BigInteger(StringSearch.Find(text, arguments, "rfind", last: true)),
        ["index"] = (text, arguments) => StringSearch.Index(text, arguments, "index", last: false),
        ["rindex"] = (text, arguments) => StringSearch.Index(text, arguments, "rindex", last: true),
        ["count"] = StringSearch.Count,
        ["startswith"] = (text, arguments) => StringSearch.Affix(text, arguments, "startswith", atStart: true),
        ["endswith"] = (text, arguments) => StringSearch.Affix(text, arguments, "endswith", atStart: false),
        ["replace"] = (text, arguments) => StringSearch.Replace(text, arguments),
        ["removeprefix"] = (text, arguments) => RemovePrefix(text, arguments.Take("removeprefix", 1, 1).Text(0)),
        ["removesuffix"] = (text, arguments) => RemoveSuffix(text, arguments.Take("removesuffix", 1, 1).Text(0)),
        ["split"] = (text, arguments) => StringSplit.Split(text, arguments),
        ["rsplit"] = (text, arguments) => StringSplit.SplitRight(text, arguments),
        ["splitlines"] = (text, arguments) => StringSplit.Lines(text, arguments),
        ["partition"] = (text, arguments) => StringSplit.Partition(text, arguments, last: false),
        ["rpartition"] = (text, arguments) => StringSplit.Partition(text, arguments, last: true),
        ["join"] = Join,
        ["format"] = (text, arguments) => BraceFormat.Apply(text, arguments),
        ["format_map"] = FormatMap,
        ["isalnum"] = All(PyChar.IsAlphanumeric),
        ["isalpha"] = All(PyChar.IsAlpha),
        ["isdecimal"] = All(PyChar.IsDecimal),
        ["isdigit"] = All(PyChar.IsDigit),
        ["isnumeric"] = All(PyChar.IsNumeric),
        ["isspace"] = All(PyText.IsSpace),
        ["isascii"] = Test(text => text.All(c => c < 128)),
        ["isprintable"] = Test(text => PyText.Codes(text).All(PyChar.IsPrintable)),
        ["isidentifier"] = Test(IsIdentifier),
        ["islower"] = Test(IsLower),
        ["isupper"] = Test(IsUpper),
        ["istitle"] = Test(IsTitle),
    };

    public static object? Find(string text, string name)
    {
        if (Methods.TryGetValue(name, out Body? body))
            return new NativeFunction(name, (_, arguments) => body(text, arguments), text);
        return name is "encode" or "translate" or "maketrans" ? NumberMethods.Unsupported(text, name) : Missing.Value;
    }

    public static bool IsLower(string text)
    {
        int[] codes = PyText.Codes(text);
        return codes.Any(PyChar.IsLower) && !codes.Any(code => PyChar.IsUpper(code) || PyChar.IsTitle(code));
    }

    public static bool IsUpper(string text)
    {
        int[] codes = PyText.Codes(text);
        return codes.Any(PyChar.IsUpper) && !codes.Any(code => PyChar.IsLower(code) || PyChar.IsTitle(code));
    }

    private static bool IsTitle(string text)
    {
        bool inWord = false, any = false;
        foreach (int code in PyText.Codes(text))
        {
            bool upper = PyChar.IsUpper(code) || PyChar.IsTitle(code);
            bool cased = upper || PyChar.IsLower(code);
            if (cased && upper == inWord)
                return false;
            any |= cased;
            inWord = cased;
        }

        return any;
    }

    private static bool IsIdentifier(string text)
    {
        int[] codes = PyText.Codes(text);
        return codes.Length > 0 && !PyChar.IsDecimal(codes[0]) && codes.All(PyChar.IsIdentifierPart);
    }

    private static Body NoArguments(Func<string, string> body) => (text, arguments) =>
    {
        arguments.Take("str method", 0, 0);
        return body(text);
    };

    private static Body Test(Func<string, bool> test) => (text, arguments) =>
    {
        arguments.Take("str method", 0, 0);
        Budget.ChargeSteps(text.Length);
        return test(text);
    };

    private static Body All(Func<int, bool> test) =>
        Test(text => text.Length > 0 && PyText.Codes(text).All(test));

    private static string Strip(string text, Arguments arguments, string name, bool left, bool right)
    {
        BoundArguments bound = arguments.Take(name, 0, 1);
        return Strip(text, bound.HasValue(0) ? bound.Text(0) : null, left, right);
    }

    /// <summary>Removes white space, or any of <paramref name="characters"/>, from the chosen ends.</summary>
    public static string Strip(string text, string? characters, bool left, bool right)
    {
        if (characters is null)
        {
            text = right ? PyText.TrimEnd(text) : text;
            return left ? PyText.TrimStart(text) : text;
        }

        HashSet<int> set = [.. PyText.Codes(characters)];
        int[] codes = PyText.Codes(text);
        int start = 0, end = codes.Length;
        while (left && start < end && set.Contains(codes[start]))
            start++;
        while (right && end > start && set.Contains(codes[end - 1]))
            end--;
        return PyText.FromCodes(codes[start..end]);
    }

    private static string Pad(string text, Arguments arguments, string name, bool left, bool right)
    {
        BoundArguments bound = arguments.Take(name, 1, 2);
        string fill = bound.Text(1, " ");
        if (PyText.Length(fill) != 1)
            throw PyError.Type("The fill character must be exactly one character long");
        return fill.Length == 1
            ? PyText.Pad(text, bound.Int(0), fill[0], left, right)
            : PyText.Pad(text, bound.Int(0), '\0', left, right).Replace("\0", fill, StringComparison.Ordinal);
    }

    private static string ZeroFill(string text, Arguments arguments)
    {
        int width = arguments.Take("zfill", 1, 1).Int(0);
        bool signed = text.Length > 0 && text[0] is '+' or '-';
        string padded = PyText.Pad(signed ? text[1..] : text, signed ? width - 1 : width, '0', true, false);
        return signed ? text[0] + padded : padded;
    }

    private static string ExpandTabs(string text, Arguments arguments)
    {
        int size = arguments.Bind("expandtabs", 0, "tabsize").Int(0, 8);
        var result = new System.Text.StringBuilder();
        int column = 0;
        foreach (int code in PyText.Codes(text))
        {
            int blanks = size > 0 ? size - (column % size) : 0;
            if (code == '\t')
            {
                Budget.ChargeText(blanks);
                result.Append(' ', blanks);
                column += blanks;
                continue;
            }

            PyText.Append(result, code);
            column = code is '\n' or '\r' ? 0 : column + 1;
        }

        return result.ToString();
    }

    private static string RemovePrefix(string text, string prefix) =>
        text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : text;

    private static string RemoveSuffix(string text, string suffix) =>
        text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : text;

    private static string Join(string text, Arguments arguments)
    {
        var result = new System.Text.StringBuilder();
        int index = 0;
        foreach (object? item in PyIterate.Items(arguments.Take("join", 1, 1)[0]))
        {
            if (!PyValue.TryText(item, out string part))
            {
                throw PyError.Type(
                    $"sequence item {index}: expected str instance, {PyValue.TypeName(item)} found");
            }

            Budget.ChargeText(part.Length + text.Length);
            result.Append(index++ > 0 ? text : "").Append(part);
        }

        return result.ToString();
    }

    private static string FormatMap(string text, Arguments arguments)
    {
        PyDict map = PyDict.Require(arguments.Take("format_map", 1, 1)[0], "format_map() argument must be a mapping");
        return BraceFormat.Apply(text, new Arguments([], map));
    }
}
