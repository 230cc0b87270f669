using System.Numerics;
using System.Text;

namespace MoeKernels.Text.Templates;

/// <summary>Searching in text, with positions counted in code points.</summary>
internal static class StringSearch
{
    /// <summary>
    /// The part of a text that optional start and end arguments choose; null if start lies past the end.
    /// </summary>
    private static string? Window(string text, BoundArguments arguments, int first, out int start)
    {
        int length = PyText.Length(text);
        start = arguments.Int(first, 0);
        int end = arguments.Int(first + 1, length);
        start = start < 0 ? Math.Max(0, start + length) : start;
        end = Math.Min(length, end < 0 ? Math.Max(0, end + length) : end);
        return start > length || start > end ? null : PyText.Substring(text, start, end - start);
    }

    public static int Find(string text, Arguments arguments, string name, bool last)
    {
        BoundArguments bound = arguments.Take(name, 1, 3);
        string part = bound.Text(0);
        if (Window(text, bound, 1, out int start) is not { } window)
            return -1;
        Charge(window, part);
        int at = last
            ? window.LastIndexOf(part, StringComparison.Ordinal)
            : window.IndexOf(part, StringComparison.Ordinal);
        return at < 0 ? -1 : start + PyText.Length(window.AsSpan(0, at));
    }

    public static object Index(string text, Arguments arguments, string name, bool last)
    {
        int at = Find(text, arguments, name, last);
        return at < 0 ? throw PyError.Value("substring not found") : new BigInteger(at);
    }

    public static object Count(string text, Arguments arguments)
    {
        BoundArguments bound = arguments.Take("count", 1, 3);
        string part = bound.Text(0);
        if (Window(text, bound, 1, out _) is not { } window)
            return BigInteger.Zero;
        return new BigInteger(part.Length == 0 ? PyText.Length(window) + 1 : Occurrences(window, part, int.MaxValue));
    }

    private static int Occurrences(string text, string part, int most)
    {
        Charge(text, part);
        int count = 0;
        int at = text.IndexOf(part, StringComparison.Ordinal);
        while (at >= 0 && count < most)
        {
            count++;
            at = text.IndexOf(part, at + part.Length, StringComparison.Ordinal);
        }

        return count;
    }

    public static object Affix(string text, Arguments arguments, string name, bool atStart)
    {
        BoundArguments bound = arguments.Take(name, 1, 3);
        object?[] affixes = bound[0] is PyTuple tuple ? tuple.Items : [bound[0]];
        string? window = Window(text, bound, 1, out _);
        foreach (object? affix in affixes)
        {
            if (!PyValue.TryText(affix, out string part))
            {
                throw PyError.Type($"{name} first arg must be str or a tuple of str, not "
                    + PyValue.TypeName(affix));
            }

            bool found = window is not null && (atStart
                ? window.StartsWith(part, StringComparison.Ordinal)
                : window.EndsWith(part, StringComparison.Ordinal));
            if (found)
                return true;
        }

        return false;
    }

    public static string Replace(string text, Arguments arguments)
    {
        BoundArguments bound = arguments.Bind("replace", 2, "old", "new", "count");
        return Replace(text, bound.Text(0), bound.Text(1), bound.Int(2, -1));
    }

    /// <summary>Replaces the first <paramref name="most"/> occurrences; all if negative.</summary>
    public static string Replace(string text, string old, string with, int most)
    {
        most = most < 0 ? int.MaxValue : most;
        if (old.Length == 0)
            return Interleave(text, with, most);
        int count = Occurrences(text, old, most);
        Budget.ChargeText(text.Length + ((long)count * Math.Max(0, with.Length - old.Length)));
        var result = new StringBuilder();
        int from = 0;
        for (; count > 0; count--)
        {
            int at = text.IndexOf(old, from, StringComparison.Ordinal);
            result.Append(text, from, at - from).Append(with);
            from = at + old.Length;
        }

        return result.Append(text, from, text.Length - from).ToString();
    }

    // An empty text is found before every character and at the end.
    private static string Interleave(string text, string with, int most)
    {
        int[] codes = PyText.Codes(text);
        long count = Math.Min(most, codes.Length + 1L);
        Budget.ChargeText(text.Length + (count * with.Length));
        var result = new StringBuilder();
        for (int i = 0; i <= codes.Length; i++)
        {
            if (i < count)
                result.Append(with);
            if (i < codes.Length)
                PyText.Append(result, codes[i]);
        }

        return result.ToString();
    }

    // Searching is quadratic at worst; real texts pay for one pass.
    private static void Charge(string text, string part) =>
        Budget.ChargeSteps(1 + (text.Length >> 3) + (part.Length >> 3));
}
