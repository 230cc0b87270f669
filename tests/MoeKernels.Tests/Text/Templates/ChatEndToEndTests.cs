using System.Text.Json;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Repository;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text.Templates;

/// <summary>From messages to token ids.</summary>
public class ChatEndToEndTests
{
    private static readonly Lazy<JsonDocument> CasesFile = new(() => ChatData.Read("e2e.json"));

    public static TheoryData<string, string, string> All()
    {
        var data = new TheoryData<string, string, string>();
        foreach (JsonElement item in CasesFile.Value.RootElement.GetProperty("cases").EnumerateArray())
            data.Add(Text(item, "template"), Text(item, "case"), Text(item, "tokenizer"));
        return data;
    }

    private static string Text(JsonElement item, string name) => item.GetProperty(name).GetString()!;

    [Theory]
    [MemberData(nameof(All))]
    public void ChatTemplateAndTokenizer_ReferenceCase_GiveTheSameIds(string template, string name, string tokenizer)
    {
        JsonElement item = CasesFile.Value.RootElement.GetProperty("cases").EnumerateArray().Single(c =>
            Text(c, "template") == template && Text(c, "case") == name && Text(c, "tokenizer") == tokenizer);
        JsonElement chat = ChatData.Cases.GetProperty("cases").EnumerateArray().Single(c =>
            Text(c, "template") == template && Text(c, "name") == name);
        using var folder = new TempFolder();
        File.Copy(ChatData.File(template), folder["chat_template.jinja"]);
        File.Copy(Tokenizers(tokenizer, "tokenizer_config.json"), folder["tokenizer_config.json"]);
        ChatRendering rendering = ChatTemplate.Load(folder.Path)!.RenderJson(
            chat.GetProperty("messages"), Options(chat));
        Assert.Equal(Text(item, "rendered"), rendering.Text);

        int[] expected = [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        TokenEncoding encoding = Tokenizer.Load(Tokenizers(tokenizer)).Encode(rendering.Text, addSpecialTokens: false);
        Assert.Equal(expected, encoding.Ids);
        if (ChatData.Optional(item, "assistant_mask") is { } mask)
            Assert.Equal(mask.EnumerateArray().Select(flag => flag.GetInt32()), Mask(encoding, rendering));
    }

    private static string Tokenizers(params string[] parts) => RepositoryPaths.DataFile(["tokenizers", .. parts]);

    // The special tokens are those of the tokenizer, not those of the case.
    private static ChatTemplateOptions Options(JsonElement chat)
    {
        ChatTemplateOptions options = ChatData.Options(chat, CasesFile.Value.RootElement.GetProperty("now"));
        return options with
        {
            Variables = options.Variables?.Where(pair => !pair.Key.EndsWith("_token", StringComparison.Ordinal))
                .ToDictionary(pair => pair.Key, pair => pair.Value),
        };
    }

    private static IEnumerable<int> Mask(TokenEncoding encoding, ChatRendering rendering) => encoding.Offsets.Select(
        token => rendering.GenerationSpans.Any(span => token.Start < span.End && token.End > span.Start) ? 1 : 0);
}
