using CsCheck;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text;

public class TokenizerPropertyTests
{
    // Byte-level families without a normalizer: every text comes back as it was.
    private static readonly Lazy<Tokenizer[]> Lossless = new(() =>
        [.. new[] { "llama3", "gpt-oss", "deepseek-v2", "deepseek-v3" }.Select(TokenizerFixtures.Load)]);

    private static readonly Lazy<Tokenizer[]> All = new(() =>
        [.. TokenizerFixtures.Families.Select(TokenizerFixtures.Load)]);

    private static readonly int[] Interesting =
    [
        ' ', ' ', '\n', '\r', '\t', 0, 0x85, 0xA0, 0x2028, 0x3000, 0xFEFF, '\'', 's', 't', '1', '٣', 'ß', 'İ', 0x301,
        0x323, 'Å', 0x1100, 0x1161, '한', 'ﬁ', 'Ａ', 0x200D, 0x1F469, 0x1F3FD, 0x20BB7, 0x1D54F, 0x10FFFF, 0xFFFD,
        0x2581, '<', '>', '|', '[', ']', 0xD7FF, 0xE000,
    ];

    private static readonly Gen<string> Text = Gen.OneOf(
            Pick(Interesting),
            Gen.Int['a', 'z'],
            Gen.Int[0x20, 0x7E],
            Gen.Int[0, 0x10FFFF].Where(c => c is < 0xD800 or > 0xDFFF))
        .List[0, 40].Select(l => string.Concat(l.Select(char.ConvertFromUtf32)));

    [Fact]
    public void Decode_OfEncode_GivesTheTextBack()
    {
        Text.Sample(
            text =>
            {
                foreach (var tokenizer in Lossless.Value)
                    Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, false).Ids, false));
            },
            iter: 500);
    }

    [Fact]
    public void DecodeStream_ChunksAndFlush_AreTheDecodedText()
    {
        Text.Sample(
            text =>
            {
                foreach (var tokenizer in Lossless.Value)
                {
                    var ids = tokenizer.Encode(text, false).Ids;
                    var stream = tokenizer.CreateDecodeStream(false);
                    var chunks = ids.Select(stream.Push).ToList();
                    Assert.Equal(text, string.Concat(chunks) + stream.Flush());
                }
            },
            iter: 300);
    }

    [Fact]
    public void Encode_AnyText_OffsetsLieInTheText()
    {
        Text.Sample(
            text =>
            {
                var length = text.EnumerateRunes().Count();
                foreach (var tokenizer in All.Value)
                {
                    var encoding = tokenizer.Encode(text);
                    Assert.All(encoding.Offsets, o => Assert.InRange(o.Start, 0, o.End));
                    Assert.All(encoding.Offsets, o => Assert.InRange(o.End, 0, length));
                    Assert.Equal(encoding.Ids.Length, encoding.Tokens.Count);
                    Assert.All(encoding.Ids, id => Assert.NotNull(tokenizer.TokenText(id)));
                }
            },
            iter: 300);
    }

    [Fact]
    public void Encode_FromManyThreads_GivesTheSameIds()
    {
        var texts = TokenizerFixtures.Cases("olmoe").Select(c => c.Text).ToList();
        foreach (var tokenizer in All.Value)
        {
            var expected = texts.Select(t => tokenizer.Encode(t).Ids).ToList();
            Parallel.For(0, 4, _ => Assert.Equal(expected, texts.Select(t => tokenizer.Encode(t).Ids)));
        }
    }

    [Fact]
    public void Encode_LoneSurrogate_IsRefused()
    {
        foreach (var text in new[] { "\ud83d", "a\udc4db", "\udc4d\ud83d" })
            Assert.All(All.Value, t => Assert.Throws<ArgumentException>(() => t.Encode(text)));
    }

    [Fact]
    public void Encode_LongSingleWords_TakesNoQuadraticTime()
    {
        // Quadratic steps on these would take hours instead of seconds.
        string[] units = ["a", " ", "\n", "\u0301", "1", "!", "abcdefg", "語", "👍", "<", "\r\n", " a"];
        foreach (var tokenizer in All.Value)
        {
            foreach (var unit in units)
                Assert.NotEmpty(tokenizer.Encode(string.Concat(Enumerable.Repeat(unit, 4_000)) + "x").Ids);
        }
    }

    [Fact]
    public void Encode_LengthsThatCannotBeMet_AreRefused()
    {
        var tokenizer = TokenizerFixtures.Load("bert");
        var endless = new EncodingOptions { Padding = new PaddingOptions(0, "[PAD]") { Length = int.MaxValue } };
        Assert.Throws<ArgumentException>(() => tokenizer.Encode("one", options: endless));
        Assert.Throws<ArgumentException>(() => Truncate(new TruncationOptions(1)));
        Assert.Throws<ArgumentException>(() => Truncate(new TruncationOptions(5) { Stride = 3 }));
        Assert.Throws<ArgumentException>(
            () => Truncate(new TruncationOptions(5) { Strategy = TruncationStrategy.OnlySecond }));

        void Truncate(TruncationOptions options) =>
            tokenizer.Encode("one two three four five six", options: new EncodingOptions { Truncation = options });
    }

    [Theory]
    [InlineData(TextSide.Right)]
    [InlineData(TextSide.Left)]
    public void Encode_Truncation_WindowsCoverTheText(TextSide direction)
    {
        var tokenizer = TokenizerFixtures.Load("qwen3");
        const string text = "one two three four five six seven eight nine ten eleven twelve";
        var whole = tokenizer.Encode(text).Ids;
        var options = new TruncationOptions(7) { Stride = 2, Direction = direction };
        var first = tokenizer.Encode(text, options: new EncodingOptions { Truncation = options });
        var windows = first.Overflowing.Prepend(first).Select(w => w.Ids).ToList();
        if (direction == TextSide.Left)
            windows.Reverse();
        var joined = windows[0].ToList();
        foreach (var window in windows[1..])
        {
            Assert.Equal(joined[^2..], window[..2]);
            joined.AddRange(window[2..]);
        }

        // From the left the first window of the text may be shorter than the overlap allows for.
        Assert.Equal(whole, joined);
    }

    [Fact]
    public void EncodeBatch_PaddingWithoutALength_FillsUpToTheLongest()
    {
        var tokenizer = TokenizerFixtures.Load("bert");
        var options = new EncodingOptions { Padding = new PaddingOptions(0, "[PAD]") };
        var batch = tokenizer.EncodeBatch(["the", "the white whale"], options: options);
        Assert.Equal(batch[1].Ids.Length, batch[0].Ids.Length);
        Assert.Equal([1, 1, 1, 0], batch[0].AttentionMask.Take(4));
        Assert.Empty(tokenizer.EncodeBatch([], options: options));
    }

    [Fact]
    public void Encode_PaddingToAMultiple_FillsTheChosenSide()
    {
        var tokenizer = TokenizerFixtures.Load("bert");
        var options = new EncodingOptions
        {
            Padding = new PaddingOptions(0, "[PAD]") { PadToMultipleOf = 8, Direction = TextSide.Left },
        };
        var padded = tokenizer.Encode("the whale", options: options);
        var plain = tokenizer.Encode("the whale");
        Assert.Equal(8, padded.Ids.Length);
        Assert.Equal(plain.Ids, padded.Ids[^plain.Ids.Length..]);
        Assert.All(padded.AttentionMask.Take(8 - plain.Ids.Length), m => Assert.Equal(0, m));
        Assert.All(padded.Tokens.Take(8 - plain.Ids.Length), t => Assert.Equal("[PAD]", t));
    }

    private static Gen<T> Pick<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);
}
