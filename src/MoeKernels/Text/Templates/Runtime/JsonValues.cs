using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace MoeKernels.Text.Templates;

/// <summary>JSON as the values <c>json.loads</c> gives.</summary>
internal static class JsonValues
{
    public static object? From(JsonElement element)
    {
        Budget.Enter();
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                return Object(element);
            case JsonValueKind.Array:
                Budget.ChargeItems(element.GetArrayLength());
                return new PyList([.. element.EnumerateArray().Select(From)]);
            case JsonValueKind.String:
                return Text(element);
            case JsonValueKind.Number:
                return Number(element.GetRawText());
            case JsonValueKind.True or JsonValueKind.False:
                return element.ValueKind == JsonValueKind.True;
            default:
                return null;
        }
    }

    private static PyDict Object(JsonElement element)
    {
        var dict = new PyDict();
        foreach (JsonProperty property in element.EnumerateObject())
            dict[property.Name] = From(property.Value);
        return dict;
    }

    private static string Text(JsonElement element)
    {
        string text;
        try
        {
            text = element.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw PyError.Value("a JSON string with a lone surrogate");
        }

        Budget.ChargeText(text.Length);
        return text;
    }

    private static object Number(string text)
    {
        if (text.AsSpan().ContainsAny('.', 'e', 'E'))
            return double.Parse(text, CultureInfo.InvariantCulture);
        return text.Length <= PyNumber.MaxDigits
            ? BigInteger.Parse(text, CultureInfo.InvariantCulture)
            : throw PyError.Value($"Exceeds the limit ({PyNumber.MaxDigits} digits) for integer string conversion");
    }
}
