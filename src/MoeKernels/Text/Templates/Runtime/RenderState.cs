namespace MoeKernels.Text.Templates;

/// <summary>Everything one rendering shares: output, scopes, clock and where it is.</summary>
internal sealed class RenderState(TemplateSyntax template, Scope top, Output root, TimeProvider clock)
{
    public TemplateSyntax Template { get; } = template;

    public Scope Top { get; } = top;

    public Output Root { get; } = root;

    public TimeProvider Clock { get; } = clock;

    public List<(int Start, int End)> GenerationSpans { get; } = [];

    /// <summary>Line of the statement or call being evaluated, for error messages.</summary>
    public int Line { get; set; } = 1;
}
