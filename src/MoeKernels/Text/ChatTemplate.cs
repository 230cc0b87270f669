using System.Text.Json;
using MoeKernels.Text.Templates;

namespace MoeKernels.Text;

/// <summary>
/// The chat template of a model: a Jinja program that turns messages into the text the model was trained on. Renders
/// what <c>apply_chat_template</c> of Hugging Face transformers gives, in the same sandbox. Immutable; several
/// threads may render with one instance.
/// </summary>
public sealed partial class ChatTemplate
{
    private const string DefaultName = "default";
    private const string ToolName = "tool_use";

    private readonly Dictionary<string, Lazy<TemplateSyntax>> _templates;

    private ChatTemplate(
        IEnumerable<(string Name, string Source, string Origin)> sources,
        IReadOnlyDictionary<string, JsonElement> specialTokens)
    {
        _templates = sources.ToDictionary(
            item => item.Name,
            item => new Lazy<TemplateSyntax>(() => TemplateParser.Parse(item.Source, item.Origin)),
            StringComparer.Ordinal);
        SpecialTokens = specialTokens;
        _ = Choose(new ChatTemplateOptions()).Value;
    }

    /// <summary>Names of the templates; a model with one template has <c>default</c> only.</summary>
    public IReadOnlyCollection<string> Names => _templates.Keys;

    /// <summary>Variables the model brings along: <c>bos_token</c>, <c>eos_token</c> and their like.</summary>
    public IReadOnlyDictionary<string, JsonElement> SpecialTokens { get; }

    /// <summary>Reads a template from its source.</summary>
    /// <param name="source">The Jinja source.</param>
    /// <param name="name">A name for error messages, usually the file.</param>
    /// <exception cref="MoeFormatException">
    /// A syntax error, or an unknown filter or test; the line is named.
    /// </exception>
    /// <exception cref="MoeUnsupportedException">
    /// A construct that is not provided, such as <c>include</c>; it is named.
    /// </exception>
    public static ChatTemplate Parse(string source, string name)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(name);
        return new ChatTemplate([(DefaultName, source, name)], new Dictionary<string, JsonElement>());
    }

    /// <summary>Turns a chat into text.</summary>
    /// <param name="messages">The messages, at least one.</param>
    /// <param name="options">Generation prompt, tools, documents and further variables.</param>
    /// <returns>The text to encode without special tokens.</returns>
    /// <exception cref="ArgumentException">No messages, or options that exclude each other.</exception>
    /// <exception cref="MoeTemplateException">The template raised an error or reached a limit.</exception>
    /// <exception cref="MoeUnsupportedException">The template used something that is not provided.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, ChatTemplateOptions? options = null) =>
        RenderChat(messages, options).Text;

    /// <summary>Like <see cref="Render"/>, and tells where the assistant's words lie.</summary>
    /// <inheritdoc cref="Render"/>
    public ChatRendering RenderChat(IReadOnlyList<ChatMessage> messages, ChatTemplateOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(messages);
        if (messages.Count == 0)
            throw new ArgumentException("A chat needs at least one message.", nameof(messages));
        return RenderList(() => new PyList([.. messages.Select(ChatContext.Message)]), options ?? new());
    }

    /// <summary>
    /// Turns messages in the form of JSON into text as they are: fields that are null stay, and the list may be
    /// empty. This is the step of <c>apply_chat_template</c> after it has prepared the messages.
    /// </summary>
    /// <param name="messages">A JSON array of message objects.</param>
    /// <param name="options">As for <see cref="Render"/>.</param>
    /// <returns>Text and spans.</returns>
    /// <exception cref="ArgumentException">Not an array, or options that exclude each other.</exception>
    /// <exception cref="MoeTemplateException">The template raised an error or reached a limit.</exception>
    /// <exception cref="MoeUnsupportedException">The template used something that is not provided.</exception>
    public ChatRendering RenderJson(JsonElement messages, ChatTemplateOptions? options = null)
    {
        if (messages.ValueKind != JsonValueKind.Array)
            throw new ArgumentException("Messages must be a JSON array.", nameof(messages));
        return RenderList(() => (PyList)JsonValues.From(messages)!, options ?? new());
    }

    /// <summary>
    /// Renders with exactly the variables given, without those of a chat and without special tokens. Of the options
    /// only the template's name, the clock and the limits are used.
    /// </summary>
    /// <param name="variables">A JSON object of variables.</param>
    /// <param name="options">Clock and limits.</param>
    /// <returns>Text and spans.</returns>
    /// <exception cref="ArgumentException">Not an object.</exception>
    /// <exception cref="MoeTemplateException">The template raised an error or reached a limit.</exception>
    /// <exception cref="MoeUnsupportedException">The template used something that is not provided.</exception>
    public ChatRendering RenderVariables(JsonElement variables, ChatTemplateOptions? options = null)
    {
        if (variables.ValueKind != JsonValueKind.Object)
            throw new ArgumentException("Variables must be a JSON object.", nameof(variables));
        options ??= new ChatTemplateOptions();
        return Renderer.Run(Choose(options).Value, options, () =>
        {
            var context = new Dictionary<string, object?>(StringComparer.Ordinal);
            foreach (JsonProperty variable in variables.EnumerateObject())
                context[variable.Name] = JsonValues.From(variable.Value);
            return context;
        });
    }

    private ChatRendering RenderList(Func<PyList> messages, ChatTemplateOptions options)
    {
        if (options.ContinueFinalMessage && options.AddGenerationPrompt)
        {
            throw new ArgumentException(
                "A generation prompt starts a message, so it excludes continuing the final one.", nameof(options));
        }

        TemplateSyntax template = Choose(options).Value;
        var final = new FinalMessage();
        ChatRendering rendering = Renderer.Run(template, options, () =>
        {
            PyList list = ChatContext.CopyReasoning(messages());
            list = options.ContinueFinalMessage ? final.Mark(list) : list;
            return ChatContext.Create(list, SpecialTokens, options);
        });
        return options.ContinueFinalMessage ? final.Cut(rendering, template.Name) : rendering;
    }

    private Lazy<TemplateSyntax> Choose(ChatTemplateOptions options)
    {
        if (options.TemplateName is { } name)
        {
            return _templates.TryGetValue(name, out Lazy<TemplateSyntax>? named)
                ? named
                : throw new ArgumentException($"The model has no chat template named '{name}'.", nameof(options));
        }

        if (options.Tools is not null && _templates.TryGetValue(ToolName, out Lazy<TemplateSyntax>? tools))
            return tools;
        return _templates.TryGetValue(DefaultName, out Lazy<TemplateSyntax>? first)
            ? first
            : _templates.Values.First();
    }
}
