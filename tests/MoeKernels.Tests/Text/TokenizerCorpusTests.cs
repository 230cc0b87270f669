using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text;

/// <summary>Whole books (with MOEK_TEST_DATA) and question answering windows.</summary>
public class TokenizerCorpusTests
{
    public static TheoryData<string> Families => [.. TokenizerFixtures.Families];

    [Theory]
    [MemberData(nameof(Families))]
    public void Encode_WholeBook_GivesTheReferenceIds(string family)
    {
        Assert.SkipWhen(TokenizerFixtures.FullData is null, "MOEK_TEST_DATA does not name the folder with data/books.");
        var tokenizer = TokenizerFixtures.Load(family);
        var books = TokenizerFixtures.Read($"{family}/cases.json").GetProperty("corpus").EnumerateArray();
        TokenizerFixtures.CheckAll(books, b => b.GetProperty("book").GetString()!, book =>
        {
            var file = Path.Combine(TokenizerFixtures.FullData, "data/books", book.GetProperty("book").GetString()!);
            var ids = tokenizer.Encode(Encoding.UTF8.GetString(File.ReadAllBytes(file)), addSpecialTokens: false).Ids;
            Assert.Equal(book.GetProperty("tokens").GetInt32(), ids.Length);
            Assert.Equal(book.GetProperty("head").Ints(), ids[..book.GetProperty("head").GetArrayLength()]);
            Assert.Equal(book.GetProperty("tail").Ints(), ids[^book.GetProperty("tail").GetArrayLength()..]);
            Assert.Equal(book.GetProperty("ids_sha256").GetString(), Hash(ids));
        });
    }

    [Fact]
    public void EncodePair_QuestionAndLongContext_GivesTheReferenceWindows()
    {
        var tokenizer = TokenizerFixtures.Load("bert");
        var questions = TokenizerFixtures.Read("bert/cases.json").GetProperty("qa").EnumerateArray();
        TokenizerFixtures.CheckAll(questions, q => q.GetProperty("question").GetString()!, q =>
        {
            var maxLength = q.GetProperty("max_length").GetInt32();
            var encoding = tokenizer.EncodePair(
                q.GetProperty("question").GetString()!,
                q.GetProperty("context").GetString()!,
                options: new EncodingOptions
                {
                    Truncation = new TruncationOptions(maxLength)
                    {
                        Stride = q.GetProperty("stride").GetInt32(),
                        Strategy = TruncationStrategy.OnlySecond,
                    },
                    Padding = new PaddingOptions(tokenizer.PadTokenId!.Value, "[PAD]") { Length = maxLength },
                });
            var windows = encoding.Overflowing.Prepend(encoding).ToList();
            var features = q.GetProperty("features").EnumerateArray().ToList();
            Assert.Equal(features.Count, windows.Count);
            foreach (var (window, feature) in windows.Zip(features))
                CheckWindow(window, feature, q);
        });
    }

    private static void CheckWindow(TokenEncoding window, JsonElement feature, JsonElement question)
    {
        Assert.Equal(feature.GetProperty("ids").Ints(), window.Ids);
        Assert.Equal(feature.GetProperty("type_ids").Ints(), window.TypeIds);
        Assert.Equal(feature.GetProperty("attention_mask").Ints(), window.AttentionMask);
        Assert.Equal(feature.GetProperty("offsets").Ints(), window.Offsets.Flat());
        Assert.Equal(feature.GetProperty("sequence_ids").NullableInts(), window.SequenceIds);
        Assert.Equal(feature.GetProperty("words").NullableInts(), window.WordIds);
        Assert.Equal(feature.GetProperty("answer_tokens").Ints(), AnswerTokens(window, question));
    }

    // First and last token of the answer; [0, 0] if the window does not hold all of it.
    private static int[] AnswerTokens(TokenEncoding window, JsonElement question)
    {
        if (question.GetProperty("answer_start").ValueKind == JsonValueKind.Null)
            return [0, 0];
        var start = question.GetProperty("answer_start").GetInt32();
        var end = start + question.GetProperty("answer").GetString()!.EnumerateRunes().Count();
        var context = Enumerable.Range(0, window.Ids.Length).Where(i => window.SequenceIds[i] == 1).ToList();
        if (window.Offsets[context[0]].Start > start || window.Offsets[context[^1]].End < end)
            return [0, 0];
        return [
            context.Last(i => window.Offsets[i].Start <= start),
            context.First(i => window.Offsets[i].End >= end),
        ];
    }

    private static string Hash(int[] ids)
    {
        var bytes = new byte[4 * ids.Length];
        for (var i = 0; i < ids.Length; i++)
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4 * i), ids[i]);
        return Convert.ToHexStringLower(SHA256.HashData(bytes));
    }
}
