using System.Text;
using System.Text.Json;

namespace MoeKernels.Text.Templates;

/// <summary>Runs a parsed template under its limits.</summary>
internal static class Renderer
{
    /// <summary>Renders; the context is made inside, because converting it counts against the limits.</summary>
    public static ChatRendering Run(
        TemplateSyntax template, ChatTemplateOptions options, Func<Dictionary<string, object?>> context)
    {
        Budget? before = Budget.Swap(new Budget(options.Limits));
        RenderState? state = null;
        try
        {
            var output = new Output(new StringBuilder());
            state = new RenderState(template, new Scope(context()), output, options.Clock);
            template.Body.Execute(state, state.Top, output);
            return new ChatRendering(output.ToString(), state.GenerationSpans);
        }
        catch (PyError error)
        {
            throw new MoeTemplateException(error.ErrorType, error.Message, template.Name, state?.Line ?? 0);
        }
        finally
        {
            Budget.Swap(before);
        }
    }

    /// <summary>The property, if the element is an object that has it.</summary>
    public static bool TryGetPropertySafely(this JsonElement element, string name, out JsonElement value)
    {
        value = default;
        return element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out value);
    }
}
