namespace MoeKernels.Text.Unicode;

/// <summary>
/// NFD, NFKD, NFC and NFKC by the decompositions of Unicode 9, each result character with its change to the input.
/// </summary>
/// <remarks>
/// The change counts as the reference's does: 0 replaces one character, 1 is inserted, -n replaces one character and
/// swallows the n after it. Offsets of tokens follow from it, so the order of the operations matters, not the text
/// alone. ICU is not used: the library runs with invariant globalization, where <c>string.Normalize</c> does not work.
/// </remarks>
internal static class NormalizationForms
{
    // Hangul syllables are decomposed and composed by arithmetic (The Unicode Standard, 3.12).
    private const int SBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7;
    private const int LCount = 19, VCount = 21, TCount = 28, SCount = LCount * VCount * TCount;

    // One step of decomposition; compositions by pair; classes of all marks.
    private static readonly Dictionary<int, (int[] Mapping, bool Compatibility)> Mappings = [];
    private static readonly Dictionary<long, int> Compositions = [];
    private static readonly Dictionary<int, byte> Classes = [];

    static NormalizationForms()
    {
        var values = UnicodeTables.Values("9:decomposition");
        var code = 0;
        for (var i = 0; i < values.Length;)
        {
            code += values[i];
            var flags = values[i + 1];
            var (length, excluded, compatibility) = (flags >> 2, (flags & 2) != 0, (flags & 1) != 0);
            var mapping = values[(i + 2)..(i + 2 + length)];
            Mappings[code] = (mapping, compatibility);
            if (!compatibility && !excluded && length == 2)
                Compositions[(long)mapping[0] << 32 | (uint)mapping[1]] = code;
            i += 2 + length;
        }

        var classes = UnicodeTables.Values("9:ccc");
        var end = 0;
        for (var i = 0; i < classes.Length; i += 3)
        {
            var low = end + classes[i];
            end = low + classes[i + 1] + 1;
            for (var c = low; c < end; c++)
                Classes[c] = (byte)classes[i + 2];
        }
    }

    /// <summary>Canonical combining class of a code point; 0 for starters.</summary>
    public static int CombiningClass(int c) => c < 0x300 ? 0 : Classes.GetValueOrDefault(c);

    /// <summary>Decomposes and orders <paramref name="text"/>.</summary>
    public static List<(int Char, int Change)> Decompose(ReadOnlySpan<int> text, bool compatibility)
    {
        var output = new List<(int Char, int Change)>(text.Length + 16);
        var pending = 0;
        foreach (var c in text)
        {
            var before = output.Count;
            Append(c, compatibility, output);
            for (var i = before; i < output.Count; i++)
            {
                if (CombiningClass(output[i].Char) == 0)
                {
                    SortByClass(output, pending, i);
                    pending = i + 1;
                }

                output[i] = (output[i].Char, i == before ? 0 : 1);
            }
        }

        SortByClass(output, pending, output.Count);
        return output;
    }

    /// <summary>Decomposes, orders and composes <paramref name="text"/>.</summary>
    public static List<(int Char, int Change)> Compose(ReadOnlySpan<int> text, bool compatibility)
    {
        var input = Decompose(text, compatibility);
        var output = new List<(int Char, int Change)>(input.Count);
        var (starter, lastClass) = (-1, -1); // index in the output; class of the last mark kept after the starter
        foreach (var (c, change) in input)
        {
            var combiningClass = CombiningClass(c);
            if (starter >= 0 && lastClass < combiningClass | lastClass < 0
                && TryCompose(output[starter].Char, c, out var composed))
            {
                output[starter] = (composed, output[starter].Change + change - 1);
                continue;
            }

            if (combiningClass == 0)
                (starter, lastClass) = (output.Count, -1);
            else if (starter >= 0)
                lastClass = combiningClass;
            output.Add((c, change));
        }

        return output;
    }

    // Two characters that are one: Hangul by arithmetic, all others by table.
    private static bool TryCompose(int first, int second, out int composed)
    {
        if ((uint)(first - LBase) < LCount && (uint)(second - VBase) < VCount)
        {
            composed = SBase + ((first - LBase) * VCount + second - VBase) * TCount;
            return true;
        }

        if ((uint)(first - SBase) < SCount && (first - SBase) % TCount == 0
            && (uint)(second - TBase - 1) < TCount - 1)
        {
            composed = first + second - TBase;
            return true;
        }

        return Compositions.TryGetValue((long)first << 32 | (uint)second, out composed);
    }

    // Decomposes to the end: mappings are stored one step deep.
    private static void Append(int c, bool compatibility, List<(int Char, int Change)> output)
    {
        if (c < 0xA0)
            output.Add((c, 0));
        else if ((uint)(c - SBase) < SCount)
        {
            var s = c - SBase;
            output.Add((LBase + s / (VCount * TCount), 0));
            output.Add((VBase + s % (VCount * TCount) / TCount, 0));
            if (s % TCount != 0)
                output.Add((TBase + s % TCount, 0));
        }
        else if (Mappings.TryGetValue(c, out var entry) && (compatibility || !entry.Compatibility))
        {
            foreach (var part in entry.Mapping)
                Append(part, compatibility, output);
        }
        else
            output.Add((c, 0));
    }

    // Insertion would be quadratic on a hostile run of marks.
    private static void SortByClass(List<(int Char, int Change)> output, int start, int end)
    {
        if (end - start < 2)
            return;
        var sorted = output.GetRange(start, end - start).OrderBy(x => CombiningClass(x.Char)).ToList();
        for (var i = 0; i < sorted.Count; i++)
            output[start + i] = sorted[i];
    }
}
