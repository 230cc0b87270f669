using System.Text.Json;
using System.Text.Json.Serialization;
using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary>The report as JSON: every property in snake case, figures that follow from others included.</summary>
internal static class ReportJson
{
    /// <summary>Bounds what a wrong file can cost; a cell takes some 200 bytes.</summary>
    private const int MaxBytes = 64 << 20;

    /// <summary>No model is larger, and as many as a file can hold still add up to 64 bits.</summary>
    private const long MaxInteger = 1L << 44;

    private static readonly ReportJsonContext OneLine =
        new(new JsonSerializerOptions(ReportJsonContext.Default.Options) { WriteIndented = false });

    public static string WriteLine(CompressionReport report) =>
        JsonSerializer.Serialize(report, OneLine.CompressionReport);

    public static byte[] Write(CompressionReport report) =>
        JsonSerializer.SerializeToUtf8Bytes(report, ReportJsonContext.Default.CompressionReport);

    /// <exception cref="MoeFormatException">The file is missing or no report.</exception>
    public static CompressionReport Read(string path)
    {
        using var document = JsonText.Parse(path, BoundedFile.Read(path, MaxBytes), uniqueNames: false);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("schema", out var schema)
            || schema.ValueKind != JsonValueKind.String
            || schema.GetString() != CompressionReport.SchemaName)
        {
            throw new MoeFormatException(path, "schema", $"is not '{CompressionReport.SchemaName}'");
        }

        if (HoldsNullInList(root))
        {
            throw new MoeFormatException(path, null, "a list holds null");
        }

        if (HoldsLargeInteger(root))
        {
            throw new MoeFormatException(path, null, $"an integer is beyond ±{MaxInteger}");
        }

        try
        {
            return WithLists(root.Deserialize(ReportJsonContext.Default.CompressionReport)!);
        }
        catch (JsonException e)
        {
            throw new MoeFormatException(path, e.Path, $"the report cannot be read: {Shown.Short(e.Message)}", e);
        }
    }

    /// <summary>The serializer leaves optional lists that are missing null.</summary>
    private static CompressionReport WithLists(CompressionReport report) => report with
    {
        Quality = report.Quality ?? [],
        Curve = report.Curve ?? [],
        Comparisons = report.Comparisons ?? [],
        Notes = report.Notes ?? [],
    };

    /// <summary>The serializer checks properties against null, but not the elements of lists.</summary>
    private static bool HoldsNullInList(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Array => element.EnumerateArray()
            .Any(item => item.ValueKind == JsonValueKind.Null || HoldsNullInList(item)),
        JsonValueKind.Object => element.EnumerateObject().Any(property => HoldsNullInList(property.Value)),
        _ => false,
    };

    private static bool HoldsLargeInteger(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Array => element.EnumerateArray().Any(HoldsLargeInteger),
        JsonValueKind.Object => element.EnumerateObject().Any(property => HoldsLargeInteger(property.Value)),
        JsonValueKind.Number => element.TryGetInt64(out long number) && (number > MaxInteger || number < -MaxInteger),
        _ => false,
    };
}

/// <summary>Generated at compile time: nothing is looked up at run time.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    WriteIndented = true)]
[JsonSerializable(typeof(CompressionReport))]
internal sealed partial class ReportJsonContext : JsonSerializerContext;
