using System.Text.Json;

namespace MoeKernels.Text;

/// <summary>How a chat is turned into text.</summary>
public sealed record ChatTemplateOptions
{
    /// <summary>Whether the text ends with the header of an assistant's message, so that the model answers.</summary>
    public bool AddGenerationPrompt { get; init; }

    /// <summary>
    /// Whether the text ends inside the last message, so that the model continues it. Cannot be combined with
    /// <see cref="AddGenerationPrompt"/>.
    /// </summary>
    public bool ContinueFinalMessage { get; init; }

    /// <summary>The tools the model may call, as a JSON array of function descriptions; null for none.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>Documents for the model to answer from, as a JSON array; null for none.</summary>
    public JsonElement? Documents { get; init; }

    /// <summary>
    /// Further variables of the template (for example <c>enable_thinking</c>); they win over the special tokens.
    /// </summary>
    public IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }

    /// <summary>
    /// Which template of a model that has several; null for <c>tool_use</c> if there are tools and such a template,
    /// else <c>default</c>.
    /// </summary>
    public string? TemplateName { get; init; }

    /// <summary>The clock behind <c>strftime_now</c>; its local time is used.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>What the rendering may use.</summary>
    public TemplateLimits Limits { get; init; } = new();
}
