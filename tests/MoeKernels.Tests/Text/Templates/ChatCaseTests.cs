using System.Text.Json;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text.Templates;

public class ChatCaseTests
{
    public static TheoryData<string, string> All()
    {
        var data = new TheoryData<string, string>();
        foreach (JsonElement item in ChatData.Cases.GetProperty("cases").EnumerateArray())
            data.Add(item.GetProperty("template").GetString()!, item.GetProperty("name").GetString()!);
        return data;
    }

    [Theory]
    [MemberData(nameof(All))]
    public void ChatTemplate_ReferenceCase_GivesTheSameText(string template, string name)
    {
        JsonElement item = ChatData.Cases.GetProperty("cases").EnumerateArray().Single(c =>
            c.GetProperty("template").GetString() == template && c.GetProperty("name").GetString() == name);
        ChatTemplateOptions options = ChatData.Options(item, ChatData.Cases.GetProperty("now"));
        ChatTemplate parsed = ChatData.Template(template);
        if (ChatData.Optional(item, "error") is { } error)
        {
            var thrown = Assert.Throws<MoeTemplateException>(
                () => parsed.RenderJson(item.GetProperty("messages"), options));
            Assert.Equal(error.GetProperty("type").GetString(), thrown.ErrorType);
            Assert.Equal(error.GetProperty("message").GetString(), thrown.Problem);
            return;
        }

        ChatRendering rendering = parsed.RenderJson(item.GetProperty("messages"), options);
        Assert.Equal(item.GetProperty("expected").GetString(), rendering.Text);
        if (ChatData.Optional(item, "generation") is { } spans)
        {
            var expected = spans.EnumerateArray().Select(span => (span[0].GetInt32(), span[1].GetInt32()));
            Assert.Equal(expected, rendering.GenerationSpans);
        }
    }
}
