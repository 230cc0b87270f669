using System.Text.Json;
using MoeKernels.Text.Templates;

namespace MoeKernels.Text;

/// <content>Finding the template in a model folder.</content>
public sealed partial class ChatTemplate
{
    private const long MaxFileLength = 64L << 20;

    /// <summary>Reads the chat template of a model folder.</summary>
    /// <remarks>
    /// Looks for <c>chat_template.jinja</c> (with <c>additional_chat_templates/*.jinja</c> beside it), then the key
    /// <c>chat_template</c> of <c>chat_template.json</c> and <c>tokenizer_config.json</c>: a text, or a list of
    /// <c>{name, template}</c>. Special tokens come from <c>tokenizer_config.json</c>, missing ones from
    /// <c>special_tokens_map.json</c>; those that are null stay undefined.
    /// </remarks>
    /// <param name="modelFolder">The folder as it was downloaded.</param>
    /// <returns>The template, or null if the model has none.</returns>
    /// <exception cref="MoeFormatException">A file is no valid JSON, or the template has a syntax error.</exception>
    /// <exception cref="MoeUnsupportedException">The template uses a construct that is not provided.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static ChatTemplate? Load(string modelFolder)
    {
        ArgumentNullException.ThrowIfNull(modelFolder);
        using JsonDocument? config = ReadJson(modelFolder, "tokenizer_config.json");
        using JsonDocument? map = ReadJson(modelFolder, "special_tokens_map.json");
        List<(string Name, string Source, string Origin)> sources = FindSources(modelFolder, config);
        if (sources.Count == 0)
            return null;
        var tokens = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        AddTokens(tokens, config);
        AddTokens(tokens, map);
        return new ChatTemplate(sources, tokens);
    }

    private static List<(string Name, string Source, string Origin)> FindSources(string folder, JsonDocument? config)
    {
        string file = Path.Combine(folder, "chat_template.jinja");
        if (File.Exists(file))
        {
            List<(string, string, string)> sources = [(DefaultName, ReadText(file), file)];
            string more = Path.Combine(folder, "additional_chat_templates");
            string[] files = Directory.Exists(more) ? Directory.GetFiles(more, "*.jinja") : [];
            Array.Sort(files, StringComparer.Ordinal);
            sources.AddRange(files.Select(path => (Path.GetFileNameWithoutExtension(path), ReadText(path), path)));
            return sources;
        }

        using JsonDocument? own = ReadJson(folder, "chat_template.json");
        List<(string, string, string)> found = FromKey(own, Path.Combine(folder, "chat_template.json"));
        return found.Count > 0 ? found : FromKey(config, Path.Combine(folder, "tokenizer_config.json"));
    }

    private static List<(string Name, string Source, string Origin)> FromKey(JsonDocument? document, string file)
    {
        if (document is null || !document.RootElement.TryGetProperty("chat_template", out JsonElement value))
            return [];
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                return [];
            case JsonValueKind.String:
                return [(DefaultName, GetText(value, file), file)];
            case JsonValueKind.Array:
                var sources = new Dictionary<string, (string, string, string)>(StringComparer.Ordinal);
                foreach (JsonElement item in value.EnumerateArray())
                {
                    (string name, string source) = Named(item, file);
                    sources[name] = (name, source, $"{file} ({name})");
                }

                return [.. sources.Values];
            default:
                throw new MoeFormatException(file, "chat_template", "must be a text or a list of named templates");
        }
    }

    private static (string Name, string Source) Named(JsonElement item, string file)
    {
        bool valid = item.ValueKind == JsonValueKind.Object
            & item.TryGetPropertySafely("name", out JsonElement name)
            & item.TryGetPropertySafely("template", out JsonElement source);
        if (!valid || name.ValueKind != JsonValueKind.String || source.ValueKind != JsonValueKind.String)
            throw new MoeFormatException(file, "chat_template", "an entry of the list lacks 'name' or 'template'");
        return (GetText(name, file), GetText(source, file));
    }

    private static void AddTokens(Dictionary<string, JsonElement> tokens, JsonDocument? document)
    {
        if (document is null)
            return;
        foreach (JsonProperty property in document.RootElement.EnumerateObject())
        {
            if (property.Name == "extra_special_tokens" && property.Value.ValueKind == JsonValueKind.Object)
            {
                foreach (JsonProperty extra in property.Value.EnumerateObject())
                    AddToken(tokens, extra);
            }
            else if (property.Name.EndsWith("_token", StringComparison.Ordinal)
                || property.Name == "additional_special_tokens")
            {
                AddToken(tokens, property);
            }
        }
    }

    /// <summary>A token is a text, an object with the text as <c>content</c>, or (several) a list of those.</summary>
    private static void AddToken(Dictionary<string, JsonElement> tokens, JsonProperty property)
    {
        JsonElement value = property.Value;
        if (value.TryGetPropertySafely("content", out JsonElement content))
            value = content;
        bool list = value.ValueKind == JsonValueKind.Array
            && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String);
        if (value.ValueKind == JsonValueKind.String || list)
            tokens.TryAdd(property.Name, value.Clone());
    }

    private static string ReadText(string file)
    {
        CheckLength(file);
        return File.ReadAllText(file);
    }

    private static void CheckLength(string file)
    {
        if (FileLength.Of(file) > MaxFileLength)
            throw new MoeFormatException(file, null, $"the file is longer than {MaxFileLength} bytes");
    }

    private static JsonDocument? ReadJson(string folder, string name)
    {
        string file = Path.Combine(folder, name);
        if (!File.Exists(file))
            return null;
        CheckLength(file);
        try
        {
            var document = JsonDocument.Parse(File.ReadAllBytes(file));
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return document;
            document.Dispose();
        }
        catch (JsonException error)
        {
            throw new MoeFormatException(file, null, $"is not valid JSON: {error.Message}", error);
        }

        throw new MoeFormatException(file, null, "must hold a JSON object");
    }

    private static string GetText(JsonElement value, string file)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            throw new MoeFormatException(file, "chat_template", "holds a lone surrogate", error);
        }
    }
}
