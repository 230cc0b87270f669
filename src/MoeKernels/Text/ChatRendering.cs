namespace MoeKernels.Text;

/// <summary>A chat as text.</summary>
/// <param name="Text">The text to encode, without special tokens added by the tokenizer.</param>
/// <param name="GenerationSpans">
/// Where the template's <c>{% generation %}</c> blocks (what the assistant said) lie in the text: start and end,
/// counted in Unicode code points, in the order of rendering.
/// </param>
public sealed record ChatRendering(string Text, IReadOnlyList<(int Start, int End)> GenerationSpans);
