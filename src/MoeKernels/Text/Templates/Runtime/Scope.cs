namespace MoeKernels.Text.Templates;

/// <summary>
/// Variables of one block. Reading looks outwards, writing stays inside; loop iterations, macros, with, set and
/// filter blocks open a scope, if does not. The outermost scope falls back to the render context, then the globals.
/// </summary>
internal sealed class Scope
{
    private readonly Scope? _parent;
    private readonly IReadOnlyDictionary<string, object?>? _context;
    private Dictionary<string, object?>? _variables;

    public Scope(Scope parent)
    {
        Budget.Enter();
        _parent = parent;
        Top = parent.Top;
    }

    public Scope(IReadOnlyDictionary<string, object?> context)
    {
        _context = context;
        Top = this;
    }

    /// <summary>The outermost scope.</summary>
    public Scope Top { get; }

    public void Set(string name, object? value) => (_variables ??= new(StringComparer.Ordinal))[name] = value;

    /// <summary>Makes a name undefined here, unless it is a parameter or loop variable of this scope.</summary>
    public void Hide(string name) => (_variables ??= new(StringComparer.Ordinal)).TryAdd(name, Undefined.Named(name));

    public object? Lookup(string name)
    {
        for (Scope? scope = this; scope is not null; scope = scope._parent)
        {
            if (scope._variables is { } variables && variables.TryGetValue(name, out object? value))
                return value;
        }

        if (Top._context!.TryGetValue(name, out object? given))
            return given;
        return Globals.TryGet(name, out object? global) ? global : Undefined.Named(name);
    }
}
