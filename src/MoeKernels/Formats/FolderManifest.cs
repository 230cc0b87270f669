using System.Text.Json;

namespace MoeKernels.Formats;

/// <summary><c>moekernels.json</c> of a folder that this library wrote: its version decides whether anything else of
/// the folder can be understood.</summary>
internal static class FolderManifest
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "moekernels.json";

    /// <summary>Version this code writes and the only one it reads.</summary>
    public const int Version = 1;

    private const string VersionKey = "format_version";
    private const int MaxBytes = 16 << 20;

    /// <summary>Refuses a folder of another version; one without a manifest passes.</summary>
    /// <exception cref="MoeFormatException">The manifest is damaged.</exception>
    /// <exception cref="MoeUnsupportedException">It is of another version.</exception>
    public static void Check(string folder)
    {
        if (File.Exists(Path.Combine(folder, FileName)))
            Open(folder).Dispose();
    }

    /// <summary>Reads a manifest of this version: an object.</summary>
    /// <exception cref="MoeFormatException">It is missing or damaged.</exception>
    /// <exception cref="MoeUnsupportedException">It is of another version.</exception>
    public static JsonDocument Open(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            throw new MoeFormatException(path, null, "the folder has no checksums");
        JsonDocument document = JsonText.Parse(path, BoundedFile.Read(path, MaxBytes), uniqueNames: true);
        try
        {
            Check(path, document.RootElement);
            return document;
        }
        catch
        {
            document.Dispose();
            throw;
        }
    }

    /// <summary>Writes the version.</summary>
    public static void WriteVersion(Utf8JsonWriter json) => json.WriteNumber(VersionKey, Version);

    private static void Check(string path, JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty(VersionKey, out JsonElement version)
            || version.ValueKind != JsonValueKind.Number || !version.TryGetInt32(out int number))
        {
            throw new MoeFormatException(path, VersionKey, "is missing");
        }

        if (number != Version)
            throw new MoeUnsupportedException($"version {number} of compressed folders", path);
    }
}
