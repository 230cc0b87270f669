namespace MoeKernels.Text;

/// <summary>
/// What one rendering of a chat template may use. A template comes with a model and may be hostile: without limits a
/// few characters can ask for any amount of time or memory. Reaching a limit ends the rendering with a
/// <see cref="MoeTemplateException"/> whose <see cref="MoeTemplateException.ErrorType"/> is <c>LimitError</c>
/// (<c>RecursionError</c> for the call depth).
/// </summary>
public sealed record TemplateLimits
{
    /// <summary>Steps: expressions evaluated, items walked, items compared. Default 20 million.</summary>
    public long MaxSteps { get; init; } = 20_000_000;

    /// <summary>
    /// UTF-16 units of all texts made while rendering, the result included; an item of a list or dict counts 32.
    /// Default 64 Mi, which bounds the memory at about 128 MiB.
    /// </summary>
    public long MaxCharacters { get; init; } = 64L << 20;

    /// <summary>Depth of macros, call blocks and recursive loops calling each other. Default 200.</summary>
    public int MaxCallDepth { get; init; } = 200;
}
