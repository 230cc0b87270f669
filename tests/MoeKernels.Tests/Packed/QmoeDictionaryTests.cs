using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using MoeKernels.Packed;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Packed;

public class QmoeDictionaryTests
{
    private static QmoeDictionary Dictionary => QmoeDictionary.Shared;

    [Fact]
    public void WordsAndTrie_AreThoseOfTheAuthors()
    {
        using JsonDocument golden = JsonDocument.Parse(
            File.ReadAllBytes(RepositoryPaths.DataFile("qmoe", "codec.json")));
        ReadOnlySpan<byte> words = MemoryMarshal.AsBytes(Dictionary.Words);
        Assert.Equal(Text("dictionary", "sha256"), Convert.ToHexStringLower(SHA256.HashData(words)));
        Assert.Equal(Text("dictionary", "crc32"), $"{Crc32.Of(words):x8}");
        ReadOnlySpan<byte> trie = MemoryMarshal.AsBytes(Dictionary.Trie);
        Assert.Equal(Text("trie", "sha256"), Convert.ToHexStringLower(SHA256.HashData(trie)));

        string? Text(string part, string key) => golden.RootElement.GetProperty(part).GetProperty(key).GetString();
    }

    [Theory]
    [InlineData(0, 0x00000001u, 0x00000001u)]
    [InlineData(13, 0x00000021u, 0x00000001u)]
    [InlineData(100, 0x00000407u, 0x00000007u)]
    [InlineData(32768, 0x0402000Au, 0x0000400Au)]
    [InlineData(65535, 0x0102000Du, 0x0000020Du)]
    public void Words_OfPublishedEntries_AreExact(int entry, uint first, uint second)
    {
        Assert.Equal(first, Dictionary.Words[2 * entry]);
        Assert.Equal(second, Dictionary.Words[(2 * entry) + 1]);
    }

    [Fact]
    public void Entries_ByLength_AreAsMany()
    {
        int[] expected = [0, 9, 65, 233, 577, 1161, 2049, 3305, 4993, 7177, 9921, 13289, 17345, 3843, 1569];
        var counts = new int[expected.Length];
        for (int code = 0; code < QmoeDictionary.EntryCount; code++)
            counts[Dictionary.PairCount((ushort)code)]++;

        Assert.Equal(expected, counts);
    }

    /// <summary>What makes greedy parsing optimal: prefixes and suffixes of entries are entries.</summary>
    [Fact]
    public void Entries_PrefixesAndSuffixes_AreEntriesOfAtMostThreeNonzeros()
    {
        Span<byte> symbols = stackalloc byte[2 * QmoeDictionary.MaxPairs];
        for (int code = 0; code < QmoeDictionary.EntryCount; code++)
        {
            int count = Dictionary.Expand((ushort)code, symbols);
            Assert.InRange(symbols[..count].Length - symbols[..count].Count((byte)0), 0, 3);
            Assert.Equal(code, Find(symbols[..count]));
            Assert.NotEqual(QmoeDictionary.Missing, Find(symbols[..(count - 2)]));
            Assert.NotEqual(QmoeDictionary.Missing, Find(symbols[2..count]));
        }
    }

    [Fact]
    public void EncodeRow_PublishedVectors_AreExact()
    {
        Assert.Equal<ushort>([25, 25, 3], Encode(new byte[64]));
        var sparse = new byte[64];
        (sparse[5], sparse[6], sparse[20], sparse[41], sparse[63]) = (2, 1, 1, 2, 1);
        Assert.Equal<ushort>([58738, 437, 96], Encode(sparse));
        Assert.Equal<ushort>([17], Encode([0, 0, 1]));
        Assert.Equal(Enumerable.Repeat((ushort)328, 8), Encode([1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2]));
    }

    private static int Find(ReadOnlySpan<byte> symbols)
    {
        int node = QmoeDictionary.Root;
        for (int i = 0; i < symbols.Length && node != QmoeDictionary.Missing; i += 2)
            node = Dictionary.Child(node, symbols[i] + (3 * symbols[i + 1]));

        return node;
    }

    private static List<ushort> Encode(byte[] symbols)
    {
        var codes = new List<ushort>();
        QmoeEncoder.EncodeRow(symbols, codes);
        return codes;
    }
}
