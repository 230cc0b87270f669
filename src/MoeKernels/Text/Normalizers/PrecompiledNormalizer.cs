using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.Normalizers;

/// <summary>
/// <c>Precompiled</c>: SentencePiece's character map, a double-array trie of UTF-8 byte strings and their replacements.
/// </summary>
/// <remarks>
/// As in the reference, a grapheme cluster under 6 bytes is looked up as a whole and replaced as a whole by the
/// shortest prefix that is found ("Ａ" with U+0301 becomes "A"); all others are looked up character by character.
/// </remarks>
internal sealed class PrecompiledNormalizer : INormalizer
{
    // Longer clusters are looked up by character.
    private const int MaxClusterBytes = 5;
    private readonly uint[] _trie;
    private readonly byte[] _replacements;

    private PrecompiledNormalizer(uint[] trie, byte[] replacements)
    {
        _trie = trie;
        _replacements = replacements;
    }

    /// <param name="map">Size of the trie in bytes (little-endian), the trie, replacements that end in 0.</param>
    /// <returns>The normalizer, or null if the map is malformed.</returns>
    public static PrecompiledNormalizer? TryCreate(byte[] map)
    {
        if (map.Length < 8)
            return null;
        var size = BinaryPrimitives.ReadUInt32LittleEndian(map) / 4;
        if (size == 0 || 4 + 4 * (long)size > map.Length)
            return null;
        var trie = new uint[size];
        for (var i = 0; i < trie.Length; i++)
            trie[i] = BinaryPrimitives.ReadUInt32LittleEndian(map.AsSpan(4 + 4 * i));
        return new PrecompiledNormalizer(trie, map[(4 + 4 * trie.Length)..]);
    }

    /// <inheritdoc/>
    public AlignedText Apply(AlignedText text)
    {
        var changes = new List<(int Char, int Change)>(text.Length);
        var modified = false;
        var utf16 = CodePoints.ToText(text.Chars);
        var (position, index) = (0, 0);
        while (position < utf16.Length)
        {
            var length = StringInfo.GetNextTextElementLength(utf16.AsSpan(position));
            var cluster = utf16.AsSpan(position, length);
            position += length;
            var count = CountRunes(cluster);
            var chars = text.Chars.Slice(index, count);
            index += count;
            if (TryReplace(chars, changes))
            {
                modified = true;
                continue;
            }

            if (count == 1)
                changes.Add((chars[0], 0));
            else
                modified |= ReplaceEach(chars, changes);
        }

        return modified ? text.Transform(changes) : text;
    }

    // Looks up the characters of a cluster one by one.
    private bool ReplaceEach(ReadOnlySpan<int> chars, List<(int Char, int Change)> changes)
    {
        var modified = false;
        for (var i = 0; i < chars.Length; i++)
        {
            if (TryReplace(chars.Slice(i, 1), changes))
                modified = true;
            else
                changes.Add((chars[i], 0));
        }

        return modified;
    }

    // Replaces the whole of the characters by what their shortest known prefix stands for.
    private bool TryReplace(ReadOnlySpan<int> chars, List<(int Char, int Change)> changes)
    {
        Span<byte> utf8 = stackalloc byte[8];
        var n = 0;
        foreach (var c in chars)
        {
            if (n + CodePoints.Utf8Length(c) > MaxClusterBytes)
                return false;
            n += new Rune(c).EncodeToUtf8(utf8[n..]);
        }

        if (!TryLookUp(utf8[..n], out var offset))
            return false;
        var end = _replacements.AsSpan(offset).IndexOf((byte)0);
        var replacement = _replacements.AsSpan(offset, end < 0 ? _replacements.Length - offset : end);
        Replace(changes, chars.Length, CodePoints.Of(Encoding.UTF8.GetString(replacement)));
        return true;
    }

    // Of more characters the last ones are inserted; of fewer the last one swallows the rest. If there is none, the
    // character before does, and at the start of the text none does: the reference's offsets shift there, too.
    private static void Replace(List<(int Char, int Change)> changes, int oldCount, int[] replacement)
    {
        var added = replacement.Length - oldCount;
        for (var i = 0; i < replacement.Length; i++)
            changes.Add((replacement[i], added > 0 && i >= oldCount ? 1 : 0));
        if (added < 0 && changes.Count > 0)
            changes[^1] = (changes[^1].Char, changes[^1].Change + added);
    }

    // Units of the double array (Darts-clone): bits 0-7 and 31 label, bit 8 "has a leaf", bits 10-30 offset, which
    // bit 9 scales by 256. The first hit is the shortest prefix.
    private bool TryLookUp(ReadOnlySpan<byte> key, out int value)
    {
        value = 0;
        var node = Offset(_trie[0]);
        foreach (var b in key)
        {
            if (b == 0)
                break;
            node ^= b;
            if (node >= _trie.Length)
                return false;
            var unit = _trie[node];
            if ((unit & 0x800000FF) != b)
                return false;
            node ^= Offset(unit);
            if ((unit >> 8 & 1) == 0)
                continue;
            if (node >= _trie.Length)
                return false;
            value = (int)(_trie[node] & 0x7FFFFFFF);
            return value <= _replacements.Length;
        }

        return false;
    }

    // Distance to the children of a unit.
    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 1 << 9) >> 6);

    // Code points of well-formed UTF-16.
    private static int CountRunes(ReadOnlySpan<char> text)
    {
        var count = 0;
        foreach (var c in text)
            count += char.IsLowSurrogate(c) ? 0 : 1;
        return count;
    }
}
