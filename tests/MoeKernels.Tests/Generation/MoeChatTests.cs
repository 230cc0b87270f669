using MoeKernels.Generation;

namespace MoeKernels.Tests.Generation;

public sealed class MoeChatTests : IDisposable
{
    private const string Template =
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        + "{% if add_generation_prompt %}assistant:{% endif %}";

    private static readonly GenerationOptions Greedy = new() { Temperature = 0, MaxNewTokens = 6 };
    private readonly string _folder = Directory.CreateTempSubdirectory("moe-chat-").FullName;

    public MoeChatTests()
    {
        foreach (string file in Directory.GetFiles(SampleModel.Folder))
        {
            File.CreateSymbolicLink(Path.Combine(_folder, Path.GetFileName(file)), file);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Send_SecondTurn_ReusesTheFirstAndEqualsAFreshSession()
    {
        using var model = await LoadAsync(Template);
        using var chat = model.CreateChat();
        chat.AddMessage("system", "Be brief.");
        await AnswerAsync(chat, "Who is there?");
        int position = chat.Session.Position;
        string second = await AnswerAsync(chat, "And then?");
        Assert.InRange(chat.Session.LastStats.CachedTokens, position / 2, position + 1);
        Assert.Equal(5, chat.Messages.Count);

        using var session = model.CreateSession();
        string prompt = model.ChatTemplate!.Render(
            [.. chat.Messages.SkipLast(1)], new() { AddGenerationPrompt = true });
        int[] tokens = model.Tokenizer!.Encode(prompt, addSpecialTokens: false).Ids;
        string fresh = string.Empty;
        await foreach (var update in session.GenerateAsync(tokens, Greedy))
        {
            fresh += update.Text;
        }

        Assert.Equal(fresh, second);
    }

    [Fact]
    public async Task Send_LeftWithTheLastUpdate_KeepsTheAnswer()
    {
        using var model = await LoadAsync(Template);
        using var chat = model.CreateChat();
        await foreach (var update in chat.SendAsync("Who is there?", Greedy))
        {
            if (update.Finish != FinishReason.None)
            {
                break;
            }
        }

        Assert.Equal(["user", "assistant"], chat.Messages.Select(message => message.Role));
    }

    [Fact]
    public async Task Send_LeftEarly_ForgetsTheQuestion()
    {
        using var model = await LoadAsync(Template);
        using var chat = model.CreateChat();
        await foreach (var update in chat.SendAsync("Who is there?", Greedy))
        {
            break;
        }

        Assert.Empty(chat.Messages);
        Assert.NotEmpty(await AnswerAsync(chat, "Once more?"));
        Assert.Equal(2, chat.Messages.Count);
    }

    [Fact]
    public async Task Template_ThatCannotBeRead_StopsChatsOnly()
    {
        using var model = await LoadAsync("{% include 'x' %}");
        Assert.Throws<MoeUnsupportedException>(() => model.CreateChat());
        using var session = model.CreateSession();
        session.Forward([1], new float[model.Info.Vocabulary]);
    }

    [Fact]
    public async Task CreateChat_WithoutTemplate_NamesTheFolder()
    {
        using var model = await MoeModel.LoadAsync(SampleModel.Folder);
        var error = Assert.Throws<MoeUnsupportedException>(() => model.CreateChat());
        Assert.Contains("novelist-s", error.Message, StringComparison.Ordinal);
    }

    private Task<MoeModel> LoadAsync(string template)
    {
        File.WriteAllText(Path.Combine(_folder, "chat_template.jinja"), template);
        return MoeModel.LoadAsync(_folder);
    }

    private static async Task<string> AnswerAsync(MoeChat chat, string text)
    {
        string answer = string.Empty;
        await foreach (var update in chat.SendAsync(text, Greedy))
        {
            answer += update.Text;
        }

        return answer;
    }
}
