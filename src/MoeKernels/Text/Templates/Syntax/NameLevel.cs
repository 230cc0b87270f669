namespace MoeKernels.Text.Templates;

/// <summary>
/// The names one block uses directly. A name that the block sets, surely and before it reads it, is the block's own
/// variable from the start: until it is set, nested macros and loops see it undefined, whatever the render context
/// holds. If an enclosing block uses the name, it is that block's variable until then.
/// </summary>
internal sealed class NameLevel(NameLevel? parent)
{
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly List<string> _setFirst = [];

    public NameLevel? Parent { get; } = parent;

    /// <summary>Whether the parser is inside a branch, where setting is not sure.</summary>
    public int Branches { get; set; }

    public void Read(string name) => _seen.Add(name);

    public void Set(string name)
    {
        if (_seen.Add(name) && Branches == 0)
            _setFirst.Add(name);
    }

    /// <summary>The names to hide; final when the whole template is parsed.</summary>
    public string[] Hidden() => [.. _setFirst.Where(name => !IsOuter(name))];

    private bool IsOuter(string name)
    {
        for (NameLevel? level = Parent; level is not null; level = level.Parent)
        {
            if (level._seen.Contains(name))
                return true;
        }

        return false;
    }
}
