namespace MoeKernels.Text.Templates;

/// <summary>
/// Continues the final message: its content gets a mark, the chat is rendered, and the text is cut at the mark. A
/// template that trims the content also trims the blank at the mark's end; then blanks before the mark go, too.
/// </summary>
internal sealed class FinalMessage
{
    private const string Tag = "CONTINUE_FINAL_MESSAGE_TAG ";

    private string _text = "";

    public PyList Mark(PyList messages)
    {
        if (messages.Items.Length == 0 || messages.Items[^1] is not PyDict last)
            throw PyError.Value("there is no final message to continue");
        last.TryGet("content", out object? content);
        var marked = new PyDict(last) { ["content"] = content is string text ? MarkText(text) : MarkContent(content) };
        return new PyList([.. messages.Items[..^1], marked]);
    }

    private string MarkText(string text)
    {
        _text = text;
        return text + Tag;
    }

    private PyList MarkContent(object? content)
    {
        object?[] parts = content is PyList list ? [.. list.Items] : [];
        for (int i = parts.Length - 1; i >= 0; i--)
        {
            if (parts[i] is not PyDict part || !part.TryGet("text", out object? value) || value is not string last)
                continue;
            parts[i] = new PyDict(part) { ["text"] = MarkText(last) };
            return new PyList(parts);
        }

        throw PyError.Value("the final message has no text to continue");
    }

    public ChatRendering Cut(ChatRendering rendering, string template)
    {
        string text = rendering.Text;
        int at = text.LastIndexOf(Tag.TrimEnd(), StringComparison.Ordinal);
        if (at < 0 || !text.Contains(PyText.Trim(_text), StringComparison.Ordinal))
        {
            throw new MoeTemplateException(
                "ValueError", "the final message does not appear in the chat after rendering it", template, 0);
        }

        bool kept = string.CompareOrdinal(text, at, Tag, 0, Tag.Length) == 0;
        string cut = kept ? text[..at] : PyText.TrimEnd(text[..at]);
        int length = PyText.Length(cut);
        var spans = rendering.GenerationSpans.Where(span => span.Start <= length)
            .Select(span => (span.Start, Math.Min(span.End, length)));
        return new ChatRendering(cut, [.. spans]);
    }
}
