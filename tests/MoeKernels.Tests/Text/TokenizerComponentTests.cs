using System.Text;
using System.Text.Json;
using MoeKernels.Text.Alignment;
using MoeKernels.Text.Loading;

namespace MoeKernels.Tests.Text;

/// <summary>Single steps against the reference: a null result means that the reference itself gives up.</summary>
public class TokenizerComponentTests
{
    [Fact]
    public void Normalizers_EachCase_GiveTheReferenceText()
    {
        TokenizerFixtures.CheckAll(Steps("normalizers", "normalizer"), s => s.Name, step =>
        {
            var normalizer = NormalizerLoader.Load(step.Section)!;
            var text = step.Case[0].GetString()!;
            if (step.Case[1].ValueKind == JsonValueKind.Null)
                return;
            Assert.Equal(
                step.Case[1].GetString(), CodePoints.ToText(normalizer.Apply(AlignedText.FromString(text)).Chars));
        });
    }

    [Fact]
    public void PreTokenizers_EachCase_GiveTheReferencePieces()
    {
        TokenizerFixtures.CheckAll(Steps("pre_tokenizers", "pre_tokenizer"), s => s.Name, step =>
        {
            var preTokenizer = PreTokenizerLoader.Load(step.Section)!;
            var text = AlignedText.FromString(step.Case[0].GetString()!);
            if (step.Case[1].ValueKind == JsonValueKind.Null)
                return;
            var pieces = preTokenizer.Apply([new Piece(text, 0, text.Length)]);
            Assert.Equal(step.Case[1].Strings(), pieces.Select(p => CodePoints.ToText(p.Chars)));
            Assert.Equal(
                step.Case[2].Ints(), pieces.SelectMany(p => new[] { p.OriginalStart, p.Text.Ends[p.End - 1] }));
        });
    }

    [Fact]
    public void Decoders_EachCase_GiveTheReferenceText()
    {
        TokenizerFixtures.CheckAll(Steps("decoders", "decoder"), s => s.Name, step =>
        {
            var decoder = DecoderLoader.Load(step.Section)!;
            var decoded = string.Concat(decoder.Apply([.. step.Case[0].Strings()]));
            if (step.Case[1].ValueKind != JsonValueKind.Null)
                Assert.Equal(step.Case[1].GetString(), decoded);
        });
    }

    private static IEnumerable<(string Name, Section Section, JsonElement Case)> Steps(string group, string key)
    {
        foreach (var step in TokenizerFixtures.Read("components.json").GetProperty(group).EnumerateArray())
        {
            var section = new Section(step.GetProperty(key), "components.json", group);
            foreach (var item in step.GetProperty("cases").EnumerateArray())
                yield return ($"{section.Element.GetRawText()} on {item[0]}", section, item);
        }
    }
}
