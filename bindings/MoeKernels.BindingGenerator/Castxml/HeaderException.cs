namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>Headers hold something that has no certain C# form, or do not compile.</summary>
internal sealed class HeaderException(IReadOnlyList<string> problems) : Exception(string.Join('\n', problems))
{
    /// <summary>What is wrong, one line each: <c>core.h:12: what</c>.</summary>
    public IReadOnlyList<string> Problems => problems;
}

/// <summary>castxml is not on the PATH.</summary>
internal sealed class CastxmlMissingException(Exception inner)
    : Exception("castxml is not on the PATH (Debian, Ubuntu: apt-get install castxml).", inner);
