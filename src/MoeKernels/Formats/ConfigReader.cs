using System.Text.Json;

namespace MoeKernels.Formats;

/// <summary>
/// Typed access to a <c>config.json</c>. Every getter takes alternative names of one key: the first that is present and
/// not null wins, so that old and new spellings are one call. Errors name the file and the key.
/// </summary>
/// <remarks>Immutable and thread-safe. A null counts as absent, as in the reference library.</remarks>
internal sealed partial class ConfigReader
{
    /// <summary>Configurations are kilobytes; this bounds what a wrong file can cost.</summary>
    private const int MaxBytes = 16 << 20;

    private readonly JsonElement _object;

    /// <summary>Names of the objects around this one with a dot behind each, empty at the root.</summary>
    private readonly string _prefix;

    private ConfigReader(string path, string prefix, JsonElement element)
    {
        Path = path;
        _prefix = prefix;
        _object = element;
    }

    /// <summary>Path of the file.</summary>
    internal string Path { get; }

    /// <summary>Names of the keys that are present and not null.</summary>
    internal IEnumerable<string> Keys =>
        _object.EnumerateObject().Where(p => p.Value.ValueKind != JsonValueKind.Null).Select(p => p.Name);

    /// <summary>The <c>text_config</c> of a multimodal configuration, or this object where there is none.</summary>
    internal ConfigReader Text => OptionalObject("text_config") ?? this;

    /// <summary>Reads a file.</summary>
    /// <exception cref="MoeFormatException">The file is missing, too long or holds no JSON object.</exception>
    internal static ConfigReader Open(string path) => Parse(path, BoundedFile.Read(path, MaxBytes));

    /// <summary>Reads a text.</summary>
    /// <param name="path">Path for messages.</param>
    /// <param name="utf8">The JSON text.</param>
    /// <exception cref="MoeFormatException">The text is no JSON object.</exception>
    internal static ConfigReader Parse(string path, ReadOnlyMemory<byte> utf8)
    {
        // Cloned, so that nobody has to dispose a configuration.
        using JsonDocument document = JsonText.Parse(path, utf8, uniqueNames: false);
        return document.RootElement.ValueKind == JsonValueKind.Object
            ? new ConfigReader(path, string.Empty, document.RootElement.Clone())
            : throw new MoeFormatException(path, null, $"holds {document.RootElement.ValueKind} instead of an object");
    }

    /// <summary>Whether one of the keys is present and not null.</summary>
    internal bool Has(params ReadOnlySpan<string> keys) => Find(keys, out _).ValueKind != JsonValueKind.Undefined;

    /// <summary>Whether a key is there and null, where a family tells that from an absent one.</summary>
    internal bool IsNull(string key) =>
        _object.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.Null;

    /// <summary>The full name of a key for messages, such as <c>rope_scaling.factor</c>.</summary>
    internal string FullName(string key) => _prefix + key;

    /// <summary>An error about one key of this object.</summary>
    internal MoeFormatException Error(string key, string problem) =>
        new(Path, Shown.Short(FullName(key)), problem);

    /// <summary>A feature that a key asks for and this library does not have.</summary>
    internal MoeUnsupportedException Unsupported(string key, string feature) =>
        new(feature, $"{Path}: '{Shown.Short(FullName(key))}'");

    /// <summary>A nested object, or null.</summary>
    internal ConfigReader? OptionalObject(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return value.ValueKind switch
        {
            JsonValueKind.Undefined => null,
            JsonValueKind.Object => new ConfigReader(Path, $"{FullName(key)}.", value),
            _ => throw WrongKind(key, value, "an object"),
        };
    }

    /// <summary>A nested object that must be there.</summary>
    internal ConfigReader Object(params ReadOnlySpan<string> keys) => OptionalObject(keys) ?? throw Missing(keys);

    /// <summary>The objects of an array, or null.</summary>
    internal ConfigReader[]? OptionalObjects(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return Items(value, key)?.Select((item, i) => item.ValueKind == JsonValueKind.Object
            ? new ConfigReader(Path, $"{FullName(key)}[{i}].", item)
            : throw WrongKind($"{key}[{i}]", item, "an object")).ToArray();
    }

    /// <summary>The first of the keys that is present and not null; undefined when none is.</summary>
    private JsonElement Find(ReadOnlySpan<string> keys, out string key)
    {
        foreach (string candidate in keys)
        {
            if (_object.TryGetProperty(candidate, out JsonElement value) && value.ValueKind != JsonValueKind.Null)
            {
                key = candidate;
                return value;
            }
        }

        key = keys[0];
        return default;
    }

    private JsonElement[]? Items(JsonElement value, string key) => value.ValueKind switch
    {
        JsonValueKind.Undefined => null,
        JsonValueKind.Array => [.. value.EnumerateArray()],
        _ => throw WrongKind(key, value, "an array"),
    };

    private MoeFormatException Missing(ReadOnlySpan<string> keys) =>
        Error(keys[0], keys.Length == 1
            ? "the key is missing"
            : $"the key is missing, also as {string.Join(", ", keys[1..].ToArray())}");

    private MoeFormatException WrongKind(string key, JsonElement value, string wanted) =>
        Error(key, $"holds {Shown.Short(value.GetRawText())} where {wanted} belongs");
}
