using System.Text.Json;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text.Templates;

public class JinjaSnippetTests
{
    public static TheoryData<int, string> All()
    {
        var data = new TheoryData<int, string>();
        foreach ((int index, JsonElement item) in ChatData.Snippets.GetProperty("snippets").EnumerateArray().Index())
            data.Add(index, item.GetProperty("source").GetString()!);
        return data;
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Snippet_ReferenceCase_GivesTheSameTextOrError(int index, string source)
    {
        JsonElement item = ChatData.Snippets.GetProperty("snippets")[index];
        if (ChatData.Optional(item, "error") is not { } error)
        {
            Assert.Equal(item.GetProperty("expected").GetString(), Render(source));
            return;
        }

        string type = error.GetProperty("type").GetString()!;
        string message = error.GetProperty("message").GetString()!;
        switch (type)
        {
            case "TemplateSyntaxError" or "TemplateAssertionError":
                string problem = Assert.Throws<MoeFormatException>(() => Render(source)).Message;
                Assert.Equal($"snippet: line 1: {message}", problem);
                break;
            case "TypeError" when source.Contains("include", StringComparison.Ordinal):
                Assert.Contains("'include'", Assert.Throws<MoeUnsupportedException>(() => Render(source)).Feature);
                break;
            default:
                var thrown = Assert.Throws<MoeTemplateException>(() => Render(source));
                Assert.Equal((type, message), (thrown.ErrorType, thrown.Problem));
                break;
        }
    }

    private static string Render(string source)
    {
        var options = new ChatTemplateOptions
        {
            Clock = new FixedClock(ChatData.Snippets.GetProperty("now").GetDateTime()),
        };
        ChatTemplate template = ChatTemplate.Parse(source, "snippet");
        return template.RenderVariables(ChatData.Snippets.GetProperty("context"), options).Text;
    }
}
