using System.Globalization;
using System.Text;
using MoeKernels.Text;
using MoeKernels.Text.Loading;

namespace MoeKernels.Tests.Text;

/// <summary>
/// Damaged tokenizer files: they load or are refused with a documented exception, and what loads can be used. The
/// environment variable MOEK_FUZZ_ITERATIONS sets the number of damaged files per family.
/// </summary>
public class TokenizerFuzzTests
{
    private static readonly string[] Texts =
        ["Hello  world 123 é\u0301 日本 👍\r\n<s>", "   ", "\u0301ＡＢ ﬁ İ"];

    // What a value in the file is replaced by.
    private static readonly string[] Values =
    [
        "null", "true", "-1", "1e99", "99999999999", "0", "\"\"", "\"\\ud800\"", "\"[\"", "[]", "{}", "[[]]", "\"a b\"",
        "{\"Regex\":\"(a*)*b\"}", "{\"Regex\":\"(?<=a+)[^\"}", "{\"type\":\"Sequence\"}", "2147483647", "\"<0x00>\"",
    ];

    private static int Iterations => Environment.GetEnvironmentVariable("MOEK_FUZZ_ITERATIONS") is { Length: > 0 } value
        ? int.Parse(value, CultureInfo.InvariantCulture)
        : 60;

    public static TheoryData<string> Families => [.. TokenizerFixtures.Families];

    [Theory]
    [MemberData(nameof(Families))]
    public void Load_DamagedFile_LoadsOrNamesTheProblem(string family)
    {
        var original = File.ReadAllText(Path.Combine(TokenizerFixtures.Folder, family, "tokenizer.json"));
        var random = new Random(family.Length * 31 + family[0]);
        var (refused, loaded) = (0, 0);
        for (var i = 0; i < Iterations; i++)
        {
            var json = random.Next(3) == 0 ? DamageBytes(original, random) : DamageValue(original, random);
            try
            {
                Use(new Tokenizer(TokenizerLoader.Parse(json, "tokenizer.json")));
                loaded++;
            }
            catch (Exception e) when (e is MoeFormatException or MoeUnsupportedException)
            {
                Assert.Contains("tokenizer.json", e.Message, StringComparison.Ordinal);
                refused++;
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{family}: {Iterations} damaged files, {loaded} loaded, {refused} refused.");
        Assert.Equal(Iterations, loaded + refused);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("{\"model\":{}}")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}")]
    [InlineData("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":1}}")]
    [InlineData("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}},"
        + "\"pre_tokenizer\":{\"type\":\"FixedLength\",\"length\":0}}")]
    public void Parse_MalformedFile_NamesFileAndKey(string json)
    {
        var error = Assert.Throws<MoeFormatException>(
            () => TokenizerLoader.Parse(Encoding.UTF8.GetBytes(json), "tokenizer.json"));
        Assert.Equal("tokenizer.json", error.File);
    }

    [Theory]
    [InlineData("normalizer")]
    [InlineData("pre_tokenizer")]
    [InlineData("post_processor")]
    [InlineData("decoder")]
    public void Parse_UnknownStep_IsRefusedByName(string key)
    {
        var json = $"{{\"model\":{{\"type\":\"WordLevel\",\"vocab\":{{}}}},\"{key}\":{{\"type\":\"Quantum\"}}}}";
        var error = Assert.Throws<MoeUnsupportedException>(
            () => TokenizerLoader.Parse(Encoding.UTF8.GetBytes(json), "tokenizer.json"));
        Assert.Contains("Quantum", error.Feature, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_WithoutAConfiguration_KnowsNoSpecialNames()
    {
        var folder = Directory.CreateTempSubdirectory("moek-tokenizer");
        try
        {
            var file = Path.Combine(folder.FullName, "tokenizer.json");
            File.Copy(Path.Combine(TokenizerFixtures.Folder, "qwen3", "tokenizer.json"), file);
            foreach (var tokenizer in new[] { Tokenizer.Load(folder.FullName), Tokenizer.Load(file) })
            {
                Assert.NotEmpty(tokenizer.Encode("text").Ids);
                Assert.Null(tokenizer.BosTokenId);
                Assert.Empty(tokenizer.EosTokenIds);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Load_MissingFile_NamesIt()
    {
        var error = Assert.Throws<MoeFormatException>(() => Tokenizer.Load("no/such/folder"));
        Assert.Equal("no/such/folder", error.File);
    }

    private static void Use(Tokenizer tokenizer)
    {
        foreach (var text in Texts)
        {
            var encoding = tokenizer.Encode(text);
            tokenizer.EncodePair(text, text);
            tokenizer.Decode(encoding.Ids);
            tokenizer.Decode(encoding.Ids, false, true);
        }

        tokenizer.Decode([0, 1, 2, 3, int.MaxValue, -1]);
    }

    private static byte[] DamageBytes(string json, Random random)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        if (random.Next(4) == 0)
            return bytes[..random.Next(bytes.Length)];
        for (var n = random.Next(1, 8); n > 0; n--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return bytes;
    }

    // Replaces a value, drops a member's name or doubles a stretch; the steps before the vocabulary are hit most.
    private static byte[] DamageValue(string json, Random random)
    {
        var vocabulary = json.IndexOf("\"vocab\"", StringComparison.Ordinal);
        var limit = random.Next(4) > 0 ? vocabulary : json.Length;
        var start = json.IndexOf(':', random.Next(limit));
        if (start < 0)
            return Encoding.UTF8.GetBytes(json);
        var end = json.IndexOfAny([',', '}', ']'], start);
        var damaged = random.Next(5) switch
        {
            0 => json[..start].Insert(json.LastIndexOf('"', start - 2), "\"x") + json[start..],
            1 => json[..start] + json[end..],
            _ => json[..(start + 1)] + Values[random.Next(Values.Length)] + json[end..],
        };
        return Encoding.UTF8.GetBytes(damaged);
    }
}
