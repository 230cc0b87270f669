using System.Text.Json;

namespace MoeKernels.Text.Templates;

/// <summary>The variables of a chat template, prepared as <c>apply_chat_template</c> does.</summary>
internal static class ChatContext
{
    private static readonly string[] ReasoningKeys = ["reasoning", "thinking", "reasoning_content"];

    public static Dictionary<string, object?> Create(
        PyList messages, IReadOnlyDictionary<string, JsonElement> tokens, ChatTemplateOptions options)
    {
        var context = new Dictionary<string, object?>(StringComparer.Ordinal);
        AddAll(context, tokens);
        context["messages"] = messages;
        // Both exist in every chat template, as None if they were not given.
        context["tools"] = options.Tools is { } tools ? JsonValues.From(tools) : null;
        context["documents"] = options.Documents is { } documents ? JsonValues.From(documents) : null;
        context["add_generation_prompt"] = options.AddGenerationPrompt;
        AddAll(context, options.Variables);
        return context;
    }

    private static void AddAll(Dictionary<string, object?> context, IReadOnlyDictionary<string, JsonElement>? values)
    {
        foreach ((string name, JsonElement value) in values ?? new Dictionary<string, JsonElement>())
            context[name] = JsonValues.From(value);
    }

    /// <summary>A message as a dict without the fields that are null.</summary>
    public static PyDict Message(ChatMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        var dict = new PyDict { ["role"] = message.Role };
        Add(dict, "content", message.Parts is { } parts ? JsonValues.From(parts) : message.Content);
        Add(dict, "reasoning_content", message.Reasoning);
        Add(dict, "tool_calls", message.ToolCalls is { } calls ? JsonValues.From(calls) : null);
        Add(dict, "tool_call_id", message.ToolCallId);
        Add(dict, "name", message.Name);
        foreach ((string name, JsonElement value) in message.Fields ?? new Dictionary<string, JsonElement>())
            Add(dict, name, JsonValues.From(value));
        return dict;
    }

    private static void Add(PyDict dict, string name, object? value)
    {
        if (value is not null)
            dict[name] = value;
    }

    /// <summary>Gives reasoning under the three names templates use for it.</summary>
    public static PyList CopyReasoning(PyList messages) => new([.. messages.Items.Select(CopyReasoning)]);

    private static object? CopyReasoning(object? message)
    {
        if (message is not PyDict dict)
            return message;
        object? reasoning = null;
        foreach (string key in ReasoningKeys)
            reasoning ??= dict.TryGet(key, out object? value) ? value : null;
        if (reasoning is null)
            return message;
        var copy = new PyDict(dict);
        foreach (string key in ReasoningKeys)
        {
            if (!dict.TryGet(key, out object? value) || value is null)
                copy[key] = reasoning;
        }

        return copy;
    }
}
