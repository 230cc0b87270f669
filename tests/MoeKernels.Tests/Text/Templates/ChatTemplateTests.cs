using System.Text.Json;
using MoeKernels.Tests.Formats;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text.Templates;

/// <summary>The public interface: messages, options, model folders.</summary>
public sealed class ChatTemplateTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Render_Messages_NullFieldsAreDropped()
    {
        ChatTemplate template = ChatTemplate.Parse("{% for m in messages %}{{ m | tojson }}{% endfor %}", "t");
        string text = template.Render(
        [
            new ChatMessage("user", "hi") { Name = "Ann" },
            new ChatMessage("assistant", null) { ToolCalls = ChatData.Json("[{\"id\":1}]") },
            new ChatMessage("tool", "x")
            {
                ToolCallId = "7",
                Fields = new Dictionary<string, JsonElement>
                {
                    ["k"] = ChatData.Json("null"),
                    ["n"] = ChatData.Json("2"),
                },
            },
        ]);
        Assert.Equal(
            """{"role": "user", "content": "hi", "name": "Ann"}{"role": "assistant", "tool_calls": [{"id": 1}]}"""
            + """{"role": "tool", "content": "x", "tool_call_id": "7", "n": 2}""",
            text);
    }

    [Fact]
    public void Render_Reasoning_HasThreeNames()
    {
        ChatTemplate template = ChatTemplate.Parse(
            "{% for m in messages %}{{ m.reasoning }}{{ m.thinking }}{{ m.reasoning_content }}|{% endfor %}", "t");
        ChatMessage[] messages = [new("user", "a"), new("assistant", "b") { Reasoning = "r" }];
        Assert.Equal("|rrr|", template.Render(messages));
    }

    [Fact]
    public void Render_NoMessages_ArgumentException() =>
        Assert.Throws<ArgumentException>(() => ChatTemplate.Parse("x", "t").Render([]));

    [Fact]
    public void Render_PromptAndContinuation_ArgumentException() => Assert.Throws<ArgumentException>(
        () => ChatTemplate.Parse("x", "t").Render(
            [new ChatMessage("user", "a")],
            new ChatTemplateOptions { AddGenerationPrompt = true, ContinueFinalMessage = true }));

    [Theory]
    [InlineData("{% for m in messages %}<{{ m.content }}>{% endfor %}", "<a><b ")]
    [InlineData("{% for m in messages %}<{{ m.content | trim }}>{% endfor %}", "<a><b")]
    public void Render_ContinueFinalMessage_EndsInsideIt(string source, string expected)
    {
        string text = ChatTemplate.Parse(source, "t").Render(
            [new ChatMessage("user", "a"), new ChatMessage("assistant", "b ")],
            new ChatTemplateOptions { ContinueFinalMessage = true });
        Assert.Equal(expected, text);
    }

    [Fact]
    public void Render_ContinueParts_EndsInsideTheLastText()
    {
        string text = ChatTemplate.Parse("{% for p in messages[0].content %}[{{ p.text }}]{% endfor %}", "t").Render(
            [
                new ChatMessage("assistant", null)
                {
                    Parts = ChatData.Json("""[{"text":"a"},{"text":"b"},{"image":1}]"""),
                },
            ],
            new ChatTemplateOptions { ContinueFinalMessage = true });
        Assert.Equal("[a][b", text);
    }

    [Fact]
    public void Render_ContinueMessageTheTemplateDrops_TemplateException()
    {
        var error = Assert.Throws<MoeTemplateException>(() => ChatTemplate.Parse("nothing", "t").Render(
            [new ChatMessage("assistant", "b")], new ChatTemplateOptions { ContinueFinalMessage = true }));
        Assert.Equal("ValueError", error.ErrorType);
    }

    [Fact]
    public void Render_Error_NamesTemplateAndLine()
    {
        ChatTemplate template = ChatTemplate.Parse("a\n\n{{ raise_exception('no') }}", "my.jinja");
        var error = Assert.Throws<MoeTemplateException>(() => template.Render([new ChatMessage("u", "")]));
        Assert.Equal(("TemplateError", "no"), (error.ErrorType, error.Problem));
        Assert.Equal(("my.jinja", 3), (error.Template, error.Line));
    }

    [Fact]
    public void Parse_SyntaxError_NamesFileAndLine()
    {
        var error = Assert.Throws<MoeFormatException>(() => ChatTemplate.Parse("a\nb\n{{ 1 + }}", "my.jinja"));
        Assert.StartsWith("my.jinja: line 3: ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{% include 'a' %}", "include")]
    [InlineData("{% import 'a' as b %}", "import")]
    [InlineData("{% from 'a' import b %}", "from")]
    [InlineData("{% extends 'a' %}", "extends")]
    [InlineData("{% autoescape true %}{% endautoescape %}", "autoescape")]
    [InlineData("{{ [1] | random }}", "random")]
    [InlineData("{{ lipsum() }}", "lipsum")]
    [InlineData("{{ 'a'.encode() }}", "str.encode")]
    public void Template_UnsupportedConstruct_IsRefusedByName(string source, string name)
    {
        var error = Assert.Throws<MoeUnsupportedException>(
            () => ChatTemplate.Parse(source, "t").Render([new ChatMessage("user", "a")]));
        Assert.Contains(name, error.Feature, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_ManyThreads_OneTemplate()
    {
        ChatTemplate template = ChatData.Template("gpt-oss.jinja");
        string Text(int i) => template.Render([new ChatMessage("user", $"q{i}")]);
        string[] expected = [.. Enumerable.Range(0, 64).Select(Text)];
        string[] parallel = [.. Enumerable.Range(0, 64).AsParallel().AsOrdered().Select(Text)];
        Assert.Equal(expected, parallel);
    }

    [Fact]
    public void Load_NoTemplate_Null()
    {
        _folder.Write("tokenizer_config.json", """{"chat_template":null,"bos_token":"<s>"}""");
        Assert.Null(ChatTemplate.Load(_folder.Path));
    }

    [Fact]
    public void Load_TokenizerConfig_TemplateAndTokens()
    {
        _folder.Write("tokenizer_config.json", """
            {"chat_template":"{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}{{ image_token }}{{ sep_token }}",
             "bos_token":{"__type":"AddedToken","content":"<s>","lstrip":false},"eos_token":"</s>","pad_token":null,
             "add_bos_token":true,"extra_special_tokens":{"image_token":"<img>"}}
            """);
        _folder.Write("special_tokens_map.json", """{"eos_token":"other","sep_token":{"content":"<sep>"}}""");
        Assert.Equal("<s></s>False<img><sep>", Load());
    }

    [Fact]
    public void Load_NamedTemplates_ToolUseWithTools()
    {
        _folder.Write("tokenizer_config.json", """
            {"chat_template":[{"name":"default","template":"plain"},{"name":"tool_use","template":"tools"},
             {"name":"rag","template":"rag"}]}
            """);
        Assert.Equal("plain", Load());
        Assert.Equal("tools", Load(new ChatTemplateOptions { Tools = ChatData.Json("[]") }));
        Assert.Equal("rag", Load(new ChatTemplateOptions { TemplateName = "rag" }));
        Assert.Throws<ArgumentException>(() => Load(new ChatTemplateOptions { TemplateName = "none" }));
    }

    [Fact]
    public void Load_SeveralFiles_JinjaFileWins()
    {
        _folder.Write("tokenizer_config.json", """{"chat_template":"config"}""");
        Assert.Equal("config", Load());
        _folder.Write("chat_template.json", """{"chat_template":"json"}""");
        Assert.Equal("json", Load());
        _folder.Write("chat_template.jinja", "jinja\n");
        Directory.CreateDirectory(_folder["additional_chat_templates"]);
        _folder.Write(Path.Combine("additional_chat_templates", "tool_use.jinja"), "more");
        Assert.Equal("jinja", Load());
        Assert.Equal("more", Load(new ChatTemplateOptions { Tools = ChatData.Json("[]") }));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"chat_template":5}""")]
    [InlineData("""{"chat_template":[{"name":"x"}]}""")]
    [InlineData("""{"chat_template":["x"]}""")]
    [InlineData("""{"chat_template":"\ud800"}""")]
    [InlineData("""{"chat_template":"{% if %}"}""")]
    public void Load_BadConfig_FormatException(string config)
    {
        _folder.Write("tokenizer_config.json", config);
        Assert.Throws<MoeFormatException>(() => ChatTemplate.Load(_folder.Path));
    }

    private string Load(ChatTemplateOptions? options = null) =>
        ChatTemplate.Load(_folder.Path)!.Render([new ChatMessage("user", "a")], options);
}
