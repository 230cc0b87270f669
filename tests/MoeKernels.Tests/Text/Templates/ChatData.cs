using System.Text.Json;
using MoeKernels.Tests.Repository;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text.Templates;

/// <summary>The reference cases of chat templates in <c>tests/data/tokenizers/chat</c>.</summary>
internal static class ChatData
{
    private static readonly Lazy<JsonDocument> CasesFile = new(() => Read("cases.json"));
    private static readonly Lazy<JsonDocument> SnippetsFile = new(() => Read("jinja.json"));

    public static JsonElement Cases => CasesFile.Value.RootElement;

    public static JsonElement Snippets => SnippetsFile.Value.RootElement;

    public static string File(string name) => RepositoryPaths.DataFile("tokenizers", "chat", name);

    public static JsonDocument Read(string name) => JsonDocument.Parse(System.IO.File.ReadAllBytes(File(name)));

    public static ChatTemplate Template(string name) =>
        ChatTemplate.Parse(System.IO.File.ReadAllText(File(name)), name);

    public static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    public static JsonElement? Optional(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) ? value : null;

    /// <summary>The options a case asks for.</summary>
    public static ChatTemplateOptions Options(JsonElement @case, JsonElement now) => new()
    {
        AddGenerationPrompt = Optional(@case, "add_generation_prompt")?.GetBoolean() ?? false,
        ContinueFinalMessage = Optional(@case, "continue_final_message")?.GetBoolean() ?? false,
        Tools = Optional(@case, "tools"),
        Documents = Optional(@case, "documents"),
        Variables = Optional(@case, "kwargs")?.EnumerateObject().ToDictionary(p => p.Name, p => p.Value),
        Clock = new FixedClock(now.GetDateTime()),
    };
}

/// <summary>A clock that stands still, with UTC as the local time.</summary>
internal sealed class FixedClock(DateTime now) : TimeProvider
{
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow() => new(DateTime.SpecifyKind(now, DateTimeKind.Utc));
}
