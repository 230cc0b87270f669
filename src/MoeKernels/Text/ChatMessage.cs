using System.Text.Json;

namespace MoeKernels.Text;

/// <summary>
/// One message of a chat: who speaks and what is said, with the optional fields chat templates know. Fields that are
/// null are not passed on, as if they had not been written.
/// </summary>
/// <param name="Role">
/// Who speaks: <c>system</c>, <c>user</c>, <c>assistant</c>, <c>tool</c> or what the template knows.
/// </param>
/// <param name="Content">The text, or null (for example when an assistant only calls tools).</param>
public sealed record ChatMessage(string Role, string? Content)
{
    /// <summary>
    /// Content in parts (text, images, ...) as a JSON array; takes the place of <see cref="Content"/>.
    /// </summary>
    public JsonElement? Parts { get; init; }

    /// <summary>
    /// What the assistant thought before it answered; templates find it as <c>reasoning</c>, <c>thinking</c> and
    /// <c>reasoning_content</c>.
    /// </summary>
    public string? Reasoning { get; init; }

    /// <summary>The tools the assistant calls: a JSON array of objects with <c>function.name</c> and
    /// <c>function.arguments</c>.</summary>
    public JsonElement? ToolCalls { get; init; }

    /// <summary>The call a <c>tool</c> message answers.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>Name of the speaker or of the tool.</summary>
    public string? Name { get; init; }

    /// <summary>Any other fields, by name; they win over the properties of the same name.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Fields { get; init; }
}
