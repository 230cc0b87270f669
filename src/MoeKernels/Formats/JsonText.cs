using System.Text.Json;
using System.Text.Unicode;

namespace MoeKernels.Formats;

/// <summary>JSON files whose every string is known to be text before anybody asks for it.</summary>
internal static class JsonText
{
    /// <summary>Parses a text.</summary>
    /// <param name="path">Path for messages.</param>
    /// <param name="utf8">The text.</param>
    /// <param name="uniqueNames">Whether a name given twice is an error; otherwise the last one counts.</param>
    /// <exception cref="MoeFormatException">The text is not valid UTF-8, JSON or Unicode.</exception>
    internal static JsonDocument Parse(string path, ReadOnlyMemory<byte> utf8, bool uniqueNames)
    {
        if (!Utf8.IsValid(utf8.Span))
            throw new MoeFormatException(path, null, "the file is not UTF-8");

        try
        {
            CheckStrings(utf8.Span);
            return JsonDocument.Parse(utf8, new JsonDocumentOptions { AllowDuplicateProperties = !uniqueNames });
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new MoeFormatException(path, null, $"the file is not valid JSON: {Shown.Short(e.Message)}", e);
        }
    }

    /// <summary>
    /// Escapes can spell what is no text, such as a lone surrogate. JsonElement would throw InvalidOperationException
    /// wherever such a string is read or merely compared with a name.
    /// </summary>
    private static void CheckStrings(ReadOnlySpan<byte> utf8)
    {
        var reader = new Utf8JsonReader(utf8);
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
                _ = reader.GetString();
        }
    }
}
