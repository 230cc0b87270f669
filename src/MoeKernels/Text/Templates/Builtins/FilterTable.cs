namespace MoeKernels.Text.Templates;

/// <summary>A filter: the value left of the bar, and the arguments in its parentheses.</summary>
internal delegate object? Filter(RenderState state, object? value, Arguments arguments);

/// <summary>The filters by name.</summary>
internal static class FilterTable
{
    private static readonly Dictionary<string, Filter> Filters = Merge(
        TextFilters.All, LayoutFilters.All, NumberFilters.All, SequenceFilters.All, OrderFilters.All,
        SelectFilters.All);

    public static bool Contains(string name) => Filters.ContainsKey(name);

    public static object? Apply(RenderState state, string name, object? value, Arguments arguments)
    {
        Budget.Enter();
        return Filters.TryGetValue(name, out Filter? filter)
            ? filter(state, value, arguments)
            : throw new PyError("TemplateRuntimeError", $"No filter named {PyRepr.Of(name)} found.");
    }

    private static Dictionary<string, Filter> Merge(params Dictionary<string, Filter>[] tables) =>
        new(tables.SelectMany(table => table), StringComparer.Ordinal);
}
