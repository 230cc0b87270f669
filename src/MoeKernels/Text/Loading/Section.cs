using System.Text.Json;

namespace MoeKernels.Text.Loading;

/// <summary>A JSON value with the path that led to it, so that every complaint names file and key.</summary>
internal readonly record struct Section(JsonElement Element, string File, string Path)
{
    public bool IsObject => Element.ValueKind == JsonValueKind.Object;

    public bool IsArray => Element.ValueKind == JsonValueKind.Array;

    public bool IsString => Element.ValueKind == JsonValueKind.String;

    /// <summary>Null or not there: the format treats both alike.</summary>
    public bool IsNull => Element.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    /// <summary>File and key, for messages.</summary>
    public string Where => $"{File}: '{Path}'";

    /// <summary>The <c>type</c> of a step.</summary>
    public string Type => Required("type").AsText();

    /// <summary>A member; its value is undefined if there is none.</summary>
    public Section this[string key]
    {
        get
        {
            if (!IsObject)
                throw Error("is not an object");
            return new Section(Element.TryGetProperty(key, out var value) ? value : default, File, Join(key));
        }
    }

    /// <summary>A member that must be there; it may be null.</summary>
    public Section Required(string key)
    {
        var value = this[key];
        return value.Element.ValueKind == JsonValueKind.Undefined ? throw value.Error("is missing") : value;
    }

    /// <summary>Elements of an array.</summary>
    public IEnumerable<Section> Items()
    {
        if (!IsArray)
            throw Error("is not an array");
        var (file, path, index) = (File, Path, 0);
        foreach (var item in Element.EnumerateArray())
            yield return new Section(item, file, $"{path}[{index++}]");
    }

    /// <summary>Members of an object.</summary>
    public IEnumerable<(string Key, Section Value)> Members()
    {
        if (!IsObject)
            throw Error("is not an object");
        foreach (var member in Element.EnumerateObject())
        {
            var key = Decode(() => member.Name);
            yield return (key, new Section(member.Value, File, Join(key)));
        }
    }

    /// <summary>A string of valid Unicode.</summary>
    public string AsText()
    {
        if (!IsString)
            throw Error("is not a string");
        var element = Element;
        return Decode(() => element.GetString()!);
    }

    /// <summary>True or false.</summary>
    public bool AsBool() => Element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Error("is not true or false"),
    };

    /// <summary>A whole number from 0 to 2^31 - 1.</summary>
    public int AsInt() =>
        Element.ValueKind == JsonValueKind.Number && Element.TryGetInt32(out var value) && value >= 0
            ? value
            : throw Error("is not a whole number from 0 to 2147483647");

    /// <summary>A number; JSON allows some that no double holds.</summary>
    public double AsNumber() =>
        Element.ValueKind == JsonValueKind.Number && Element.TryGetDouble(out var value) && double.IsFinite(value)
            ? value
            : throw Error("is not a finite number");

    /// <summary>A text of exactly one character.</summary>
    public int AsChar()
    {
        var text = Alignment.CodePoints.Of(AsText());
        return text.Length == 1 ? text[0] : throw Error("is not a single character");
    }

    /// <summary>A string member, or a fallback where it is null or missing.</summary>
    public string Text(string key, string fallback) => this[key] is { IsNull: false } value ? value.AsText() : fallback;

    /// <summary>A boolean member, or a fallback where it is null or missing.</summary>
    public bool Bool(string key, bool fallback) => this[key] is { IsNull: false } value ? value.AsBool() : fallback;

    /// <summary>The complaint that this value has a problem.</summary>
    public MoeFormatException Error(string problem, Exception? cause = null) => new(File, Path, problem, cause);

    private string Join(string key) => Path.Length == 0 ? key : $"{Path}.{key}";

    // Escapes such as "\ud800" are valid JSON, but no text.
    private string Decode(Func<string> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException e)
        {
            throw Error("is not valid Unicode text", e);
        }
    }
}
