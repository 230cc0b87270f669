using System.Text;
using MoeKernels.Text;
using MoeKernels.Text.Loading;

namespace MoeKernels.Tests.Text;

/// <summary>Options that the reference's families do not use, on tokenizers small enough to work out by hand.</summary>
public class TokenModelTests
{
    [Fact]
    public void Bpe_EndOfWordSuffix_MarksTheLastSymbol()
    {
        const string model = """
            {"type":"BPE","unk_token":"<unk>","end_of_word_suffix":"</w>","fuse_unk":false,
             "vocab":{"<unk>":0,"l":1,"o":2,"w":3,"o</w>":4,"w</w>":5,"lo":6,"low</w>":7},
             "merges":["l o","lo w</w>"]}
            """;
        var tokenizer = Parse(
            model, """ "pre_tokenizer":{"type":"WhitespaceSplit"},"decoder":{"type":"BPEDecoder"} """);
        var encoding = tokenizer.Encode("low lo wl");
        Assert.Equal(["low</w>", "l", "o</w>", "w", "<unk>"], encoding.Tokens);
        Assert.Equal([0, 3, 4, 5, 5, 6, 7, 8, 8, 9], encoding.Offsets.Flat());
        Assert.Equal("low lo", tokenizer.Decode([7, 1, 4]));
    }

    [Fact]
    public void Bpe_ContinuingPrefix_MarksAllButTheFirstSymbol()
    {
        const string model = """
            {"type":"BPE","continuing_subword_prefix":"##",
             "vocab":{"a":0,"##b":1,"##c":2,"ab":3,"##bc":4,"abc":5},"merges":[["##b","##c"],["a","##bc"]]}
            """;
        Assert.Equal([5], Parse(model).Encode("abc").Ids);
        Assert.Equal([0, 1], Parse(model).Encode("ab").Ids);
    }

    [Theory]
    [InlineData(true, new[] { 0, 1, 0 })]
    [InlineData(false, new[] { 0, 0, 1, 0 })]
    public void Bpe_UnknownCharacters_FuseIfAsked(bool fuse, int[] expected)
    {
        var model = $$"""
            {"type":"BPE","unk_token":"?","fuse_unk":{{(fuse ? "true" : "false")}},"vocab":{"?":0,"a":1},"merges":[]}
            """;
        Assert.Equal(expected, Parse(model).Encode("xyaz").Ids);
    }

    [Fact]
    public void Bpe_ByteFallbackWithMissingBytes_IsUnknown()
    {
        const string model = """
            {"type":"BPE","unk_token":"?","byte_fallback":true,
             "vocab":{"?":0,"<0xC3>":1,"<0xA9>":2,"<0xC2>":3},"merges":[]}
            """;
        var encoding = Parse(model).Encode("é¿");
        Assert.Equal([1, 2, 0], encoding.Ids);
        Assert.Equal([0, 1, 0, 1, 1, 2], encoding.Offsets.Flat());
    }

    [Fact]
    public void Bpe_IgnoreMerges_PrefersTheWholeWord()
    {
        const string vocabulary = """ "vocab":{"a":0,"b":1,"ab":2,"aba":3},"merges":["a b"] """;
        Assert.Equal([2, 0], Parse($$"""{"type":"BPE",{{vocabulary}}}""").Encode("aba").Ids);
        Assert.Equal([3], Parse($$"""{"type":"BPE","ignore_merges":true,{{vocabulary}}}""").Encode("aba").Ids);
    }

    [Fact]
    public void Bpe_SameRank_JoinsTheLeftmostPair() =>
        Assert.Equal([1, 0], Parse("""{"vocab":{"a":0,"aa":1},"merges":["a a"]}""").Encode("aaa").Ids);

    [Fact]
    public void DecodeStream_ByteRunThatTurnsBad_GoesOn()
    {
        const string model = """
            {"type":"BPE","vocab":{"<0x41>":0,"<0xFF>":1,"b":2},"merges":[]}
            """;
        var stream = Parse(model, """ "decoder":{"type":"ByteFallback"} """).CreateDecodeStream();
        Assert.Equal(["A", null, "\uFFFDb", "b"], new[] { 0, 1, 2, 2 }.Select(stream.Push));
        Assert.Null(stream.Push(1));
        Assert.Equal("\uFFFD", stream.Flush());
    }

    [Fact]
    public void Unigram_UnknownRuns_FuseAndShowTheirText()
    {
        const string model = """
            {"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-1],["ab",-3],["b",-1],["aab",-1.5]]}
            """;
        var encoding = Parse(model).Encode("aabxyab");
        Assert.Equal(["aab", "xy", "a", "b"], encoding.Tokens);
        Assert.Equal([4, 0, 1, 3], encoding.Ids);
    }

    [Fact]
    public void Unigram_ByteFallback_SpellsUnknownText()
    {
        const string model = """
            {"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["<unk>",0],["<0xC3>",0],["<0xA9>",0]]}
            """;
        Assert.Equal([1, 2], Parse(model).Encode("é").Ids);
        Assert.Equal([0], Parse(model).Encode("è").Ids);
    }

    [Fact]
    public void Unigram_WithoutUnknownToken_NamesTheKey()
    {
        var tokenizer = Parse("""{"type":"Unigram","unk_id":null,"vocab":[["a",-1]]}""");
        Assert.Equal([0], tokenizer.Encode("a").Ids);
        Assert.Equal("model.unk_id", Assert.Throws<MoeFormatException>(() => tokenizer.Encode("b")).Item);
    }

    [Fact]
    public void WordLevel_UnknownWord_IsTheUnknownToken()
    {
        const string model = """{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"cat":1,"a":2}}""";
        var tokenizer = Parse(model, """ "pre_tokenizer":{"type":"Whitespace"} """);
        Assert.Equal([2, 1, 0, 0], tokenizer.Encode("a cat sat.").Ids);
        Assert.Equal("a cat ? ?", tokenizer.Decode([2, 1, 0, 0]));
    }

    [Fact]
    public void Roberta_PairOfTexts_HasTwoSeparatorsBetween()
    {
        const string model = """
            {"type":"WordLevel","unk_token":"?","vocab":{"?":0,"<s>":1,"</s>":2,"Ġa":3,"Ġb":4}}
            """;
        var tokenizer = Parse(model, """
            "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},
            "post_processor":{"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",1],"trim_offsets":true,
             "add_prefix_space":true}
            """);
        var encoding = tokenizer.EncodePair("a a", "b");
        Assert.Equal([1, 3, 3, 2, 2, 4, 2], encoding.Ids);
        Assert.Equal([0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 1, 0, 0], encoding.Offsets.Flat());
        Assert.All(encoding.TypeIds, t => Assert.Equal(0, t));
        Assert.Equal([null, 0, 0, null, null, 1, null], encoding.SequenceIds);
    }

    [Fact]
    public void Bert_PairOfTexts_HasOneSeparatorAfterEach()
    {
        const string model = """{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"[CLS]":1,"[SEP]":2,"a":3}}""";
        var tokenizer = Parse(
            model, """ "post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]} """);
        Assert.Equal([1, 3, 2, 3, 2], tokenizer.EncodePair("a", "a").Ids);
        Assert.Equal([0, 0, 0, 1, 1], tokenizer.EncodePair("a", "a").TypeIds);
        Assert.Equal([3, 3], tokenizer.EncodePair("a", "a", addSpecialTokens: false).Ids);
    }

    [Fact]
    public void FileOptions_AreReadButNotAppliedUnasked()
    {
        var tokenizer = Parse("""{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"a":1}}""", """
            "pre_tokenizer":{"type":"FixedLength","length":1},
            "truncation":{"direction":"Left","max_length":2,"strategy":"OnlyFirst","stride":1},
            "padding":{"strategy":{"Fixed":4},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,
             "pad_token":"?"}
            """);
        Assert.Equal([1, 1, 1], tokenizer.Encode("aaa").Ids);
        var asked = new EncodingOptions { Truncation = tokenizer.FileTruncation, Padding = tokenizer.FilePadding };
        Assert.Equal([1, 1, 0, 0], tokenizer.Encode("aaa", options: asked).Ids);
        Assert.Equal(TextSide.Left, tokenizer.FileTruncation!.Direction);
    }

    [Fact]
    public void AddedTokens_NotInTheVocabulary_AreNumberedOn()
    {
        var tokenizer = Parse("""{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"a":1}}""", """
            "added_tokens":[{"id":1,"content":"a","special":true},{"id":9,"content":"<x>","special":true}]
            """);
        Assert.Equal((1, 2, 3), (tokenizer.TokenId("a"), tokenizer.TokenId("<x>"), tokenizer.VocabularySize));
        Assert.True(tokenizer.IsSpecial(2));
        Assert.Equal("<x>", tokenizer.TokenText(2));
        Assert.Null(tokenizer.TokenText(9));
    }

    private static Tokenizer Parse(string model, string steps = "")
    {
        var json = $"{{\"model\":{model}{(steps.Length > 0 ? "," : "")}{steps}}}";
        return new Tokenizer(TokenizerLoader.Parse(Encoding.UTF8.GetBytes(json), "tokenizer.json"));
    }
}
