using System.Text.Json;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text;

public class TokenizerFixtureTests
{
    public static TheoryData<string> Families => [.. TokenizerFixtures.Families];

    [Theory]
    [MemberData(nameof(Families))]
    public void VocabularySize_WithAddedTokens_IsTheReferences(string family)
    {
        var expected = TokenizerFixtures.Read($"{family}/cases.json").GetProperty("vocab_size").GetInt32();
        Assert.Equal(expected, TokenizerFixtures.Load(family).VocabularySize);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Encode_WithSpecialTokens_GivesTheReferenceIds(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        Check(family, (text, expected) =>
            Assert.Equal(expected.GetProperty("ids").Ints(), tokenizer.Encode(text).Ids));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Encode_WithoutSpecialTokens_GivesTheReferenceIds(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        Check(family, (text, expected) =>
        {
            var ids = expected.TryGetProperty("ids_plain", out var plain) ? plain : expected.GetProperty("ids");
            Assert.Equal(ids.Ints(), tokenizer.Encode(text, addSpecialTokens: false).Ids);
        });
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Encode_ShortTexts_GivesTheReferenceTokens(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        Check(family, (text, expected) =>
        {
            if (expected.TryGetProperty("tokens", out var tokens))
                Assert.Equal(tokens.Strings(), tokenizer.Encode(text).Tokens);
        });
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Encode_ShortTexts_GivesTheReferenceOffsets(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        Check(family, (text, expected) =>
        {
            if (expected.TryGetProperty("offsets", out var offsets))
                Assert.Equal(offsets.Ints(), tokenizer.Encode(text).Offsets.Flat());
        });
    }

    [Theory]
    [InlineData("bert")]
    public void Encode_ShortTexts_GivesTheReferenceWords(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        Check(family, (text, expected) =>
        {
            if (expected.TryGetProperty("words", out var words))
                Assert.Equal(words.NullableInts(), tokenizer.Encode(text).WordIds);
        });
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Decode_SkippingSpecialTokens_GivesTheReferenceText(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        Check(family, (text, expected) =>
        {
            var decoded = expected.TryGetProperty("decode", out var value) ? value.GetString() : text;
            Assert.Equal(decoded, tokenizer.Decode(expected.GetProperty("ids").Ints()));
        });
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Decode_WithSpecialTokens_GivesTheReferenceText(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        Check(family, (text, expected) =>
        {
            var decoded = expected.TryGetProperty("decode_all", out var all) ? all.GetString()
                : expected.TryGetProperty("decode", out var value) ? value.GetString()
                : text;
            Assert.Equal(decoded, tokenizer.Decode(expected.GetProperty("ids").Ints(), skipSpecialTokens: false));
        });
    }

    [Theory]
    [InlineData("bert")]
    [InlineData("switch")]
    public void Decode_CleaningUpSpaces_GivesTheTextOfTransformers(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        Assert.True(tokenizer.CleansUpSpaces);
        Check(family, (_, expected) =>
        {
            if (expected.TryGetProperty("decode_hf", out var decoded))
                Assert.Equal(decoded.GetString(), tokenizer.Decode(expected.GetProperty("ids").Ints(), true, true));
        });
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void EncodePair_BothTexts_GivesTheReferenceFields(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        var pairs = TokenizerFixtures.Read($"{family}/cases.json").GetProperty("pairs").EnumerateArray();
        TokenizerFixtures.CheckAll(pairs, p => p.GetProperty("a").GetString()!, pair => CheckPair(tokenizer, pair));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Decode_EveryPrefix_GivesTheReferenceText(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        CheckStreams(family, (ids, expected) =>
        {
            var text = "";
            var k = 0;
            foreach (var prefix in expected.GetProperty("prefixes").EnumerateArray())
            {
                // [keep, suffix]: so many code points of the text before, then the suffix.
                var runes = text.EnumerateRunes().Take(prefix[0].GetInt32());
                text = string.Concat(runes.Select(r => r.ToString())) + prefix[1].GetString();
                Assert.Equal(text, tokenizer.Decode(ids.AsSpan(0, ++k), skipSpecialTokens: false));
            }
        });
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void DecodeStream_TokenByToken_GivesTheReferenceChunks(string family)
    {
        var tokenizer = TokenizerFixtures.Load(family);
        CheckStreams(family, (ids, expected) =>
        {
            var stream = tokenizer.CreateDecodeStream(skipSpecialTokens: false);
            Assert.Equal(expected.GetProperty("chunks").Strings(), ids.Select(stream.Push));
        });
    }

    private static void Check(string family, Action<string, JsonElement> check) =>
        TokenizerFixtures.CheckAll(TokenizerFixtures.Cases(family), c => c.Name, c => check(c.Text, c.Case));

    private static void CheckStreams(string family, Action<int[], JsonElement> check) => TokenizerFixtures.CheckAll(
        TokenizerFixtures.Read($"{family}/cases.json").GetProperty("stream").EnumerateArray(),
        s => s.GetProperty("text").GetString()!,
        s => check(s.GetProperty("ids").Ints(), s));

    private static void CheckPair(Tokenizer tokenizer, JsonElement pair)
    {
        var (a, b) = (pair.GetProperty("a").GetString()!, pair.GetProperty("b").GetString()!);
        var encoding = tokenizer.EncodePair(a, b);
        Assert.Equal(pair.GetProperty("ids").Ints(), encoding.Ids);
        Assert.Equal(pair.GetProperty("ids_plain").Ints(), tokenizer.EncodePair(a, b, addSpecialTokens: false).Ids);
        Assert.Equal(pair.GetProperty("type_ids").Ints(), encoding.TypeIds);
        Assert.Equal(pair.GetProperty("tokens").Strings(), encoding.Tokens);
        Assert.Equal(pair.GetProperty("offsets").Ints(), encoding.Offsets.Flat());
        Assert.Equal(pair.GetProperty("sequence_ids").NullableInts(), encoding.SequenceIds);
        Assert.Equal(pair.GetProperty("special_mask").Ints(), encoding.SpecialMask.Select(s => s ? 1 : 0));
        if (pair.TryGetProperty("decode", out var decoded))
            Assert.Equal(decoded.GetString(), tokenizer.Decode(encoding.Ids));
        if (pair.TryGetProperty("decode_all", out var all))
            Assert.Equal(all.GetString(), tokenizer.Decode(encoding.Ids, skipSpecialTokens: false));
    }
}
