using System.Buffers;
using System.Text.Json;
using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary><c>moekernels.json</c> of a compressed folder: version, where it comes from, and the SHA-256 of every file
/// a model is made of.</summary>
internal static class Manifest
{
    /// <summary>Name of the file.</summary>
    public const string FileName = FolderManifest.FileName;

    /// <summary>Whether a folder has a manifest.</summary>
    public static bool Exists(string folder) => File.Exists(Path.Combine(folder, FileName));

    /// <summary>Hashes all files of a folder and writes its manifest.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="files">Names of the files.</param>
    /// <param name="method">How the model was compressed.</param>
    /// <param name="cancellation">Stops between pieces of a file.</param>
    public static void Write(
        string folder, IEnumerable<string> files, string method, CancellationToken cancellation)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            FolderManifest.WriteVersion(json);
            json.WriteString("method", method);
            json.WriteStartObject("sha256");
            foreach (string name in files.Order(StringComparer.Ordinal))
                json.WriteString(name, FileHash.Of(Path.Combine(folder, name), null, cancellation));
            json.WriteEndObject();
            json.WriteEndObject();
        }

        AtomicFile.Write(Path.Combine(folder, FileName), buffer.WrittenSpan);
    }

    /// <summary>Compares all files with their hashes.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="progress">Told the bytes read.</param>
    /// <param name="cancellation">Stops between pieces of a file.</param>
    /// <returns>Names of files that differ or are missing; empty when all are as they were written.</returns>
    /// <exception cref="MoeFormatException">The manifest is missing or damaged.</exception>
    /// <exception cref="MoeUnsupportedException">It is of a newer version.</exception>
    public static IReadOnlyList<string> Verify(
        string folder, IProgress<LoadProgress>? progress, CancellationToken cancellation)
    {
        IReadOnlyDictionary<string, string> hashes = Read(folder);
        long total = hashes.Keys.Select(name => new FileInfo(Path.Combine(folder, name)))
            .Sum(file => file.Exists ? file.Length : 0);
        long done = 0;
        var wrong = new List<string>();
        foreach ((string name, string expected) in hashes)
        {
            string path = Path.Combine(folder, name);
            if (!File.Exists(path) || FileHash.Of(path, Count, cancellation) != expected)
                wrong.Add(name);
        }

        return wrong;

        void Count(int bytes) => progress?.Report(new LoadProgress(done += bytes, total));
    }

    private static Dictionary<string, string> Read(string folder)
    {
        using JsonDocument document = FolderManifest.Open(folder);
        string path = Path.Combine(folder, FileName);
        if (!document.RootElement.TryGetProperty("sha256", out JsonElement files)
            || files.ValueKind != JsonValueKind.Object)
        {
            throw new MoeFormatException(path, "sha256", "is missing");
        }

        var hashes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (JsonProperty file in files.EnumerateObject())
        {
            if (file.Value.ValueKind != JsonValueKind.String || !IsFileName(file.Name))
                throw new MoeFormatException(path, Shown.Short(file.Name), "is no name and hash of a file");
            hashes[file.Name] = file.Value.GetString()!;
        }

        return hashes;
    }

    /// <summary>Whether a name stays inside the folder.</summary>
    private static bool IsFileName(string name) =>
        name.Length > 0 && name is not ("." or "..") && !name.AsSpan().ContainsAny("/\\\0");
}
