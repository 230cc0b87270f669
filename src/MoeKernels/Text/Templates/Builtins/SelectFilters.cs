namespace MoeKernels.Text.Templates;

/// <summary>Filters that apply another filter or a test to every item: map, select, reject and their like.</summary>
internal static class SelectFilters
{
    public static readonly Dictionary<string, Filter> All = new(StringComparer.Ordinal)
    {
        ["map"] = (state, value, arguments) => new PyIterator(Map(state, value, arguments)),
        ["select"] = (_, value, arguments) => new PyIterator(Select(value, arguments, keep: true, attribute: false)),
        ["reject"] = (_, value, arguments) => new PyIterator(Select(value, arguments, keep: false, attribute: false)),
        ["selectattr"] = (_, value, arguments) => new PyIterator(
            Select(value, arguments, keep: true, attribute: true)),
        ["rejectattr"] = (_, value, arguments) => new PyIterator(
            Select(value, arguments, keep: false, attribute: true)),
    };

    private static IEnumerable<object?> Map(RenderState state, object? value, Arguments arguments)
    {
        if (!PyValue.Truth(value))
            yield break;
        Func<object?, object?> map = Mapping(state, arguments);
        foreach (object? item in PyIterate.Items(value))
            yield return map(item);
    }

    private static Func<object?, object?> Mapping(RenderState state, Arguments arguments)
    {
        if (arguments.Positional.Length == 0 && arguments.Named.TryGet("attribute", out object? path))
        {
            arguments.Named.TryGet("default", out object? fallback);
            object? unexpected = arguments.Named.Select(pair => pair.Key)
                .FirstOrDefault(key => key is not ("attribute" or "default"));
            return unexpected is null
                ? Attributes.Getter(path, fallback)
                : throw PyError.Filter($"Unexpected keyword argument {PyRepr.Of(unexpected)}");
        }

        if (arguments.Positional.Length == 0)
            throw PyError.Filter("map requires a filter argument");
        string name = Name(arguments.Positional[0], "filter");
        Arguments rest = arguments.Skip(1);
        return item => FilterTable.Apply(state, name, item, rest);
    }

    private static string Name(object? value, string kind) => PyValue.TryText(value, out string name)
        ? name
        : throw new PyError("TemplateRuntimeError", $"No {kind} named {PyRepr.Of(value)}.");

    private static IEnumerable<object?> Select(object? value, Arguments arguments, bool keep, bool attribute)
    {
        if (!PyValue.Truth(value))
            yield break;
        Func<object?, bool> test = Test(arguments, attribute);
        foreach (object? item in PyIterate.Items(value))
        {
            if (test(item) == keep)
                yield return item;
        }
    }

    private static Func<object?, bool> Test(Arguments arguments, bool attribute)
    {
        if (attribute && arguments.Positional.Length == 0)
            throw PyError.Filter("Missing parameter for attribute name");
        int first = attribute ? 1 : 0;
        Func<object?, object?> subject = Attributes.Getter(attribute ? arguments.Positional[0] : null);
        if (arguments.Positional.Length == first)
            return item => PyValue.Truth(subject(item));
        string name = Name(arguments.Positional[first], "test");
        Arguments rest = arguments.Skip(first + 1);
        return item => TestTable.Apply(name, subject(item), rest);
    }
}
