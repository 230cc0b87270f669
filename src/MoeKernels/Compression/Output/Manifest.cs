using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary><c>moekernels.json</c> of a compressed folder: version, where it comes from, and the SHA-256 of every file
/// a model is made of.</summary>
internal static class Manifest
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "moekernels.json";

    private const int Version = 1;
    private const int MaxBytes = 16 << 20;

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
            json.WriteNumber("format_version", Version);
            json.WriteString("method", method);
            json.WriteStartObject("sha256");
            foreach (string name in files.Order(StringComparer.Ordinal))
                json.WriteString(name, Hash(Path.Combine(folder, name), null, cancellation));
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
            if (!File.Exists(path) || Hash(path, Count, cancellation) != expected)
                wrong.Add(name);
        }

        return wrong;

        void Count(int bytes) => progress?.Report(new LoadProgress(done += bytes, total));
    }

    private static Dictionary<string, string> Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            throw new MoeFormatException(path, null, "the folder has no checksums");
        using JsonDocument document = JsonText.Parse(path, BoundedFile.Read(path, MaxBytes), uniqueNames: true);
        JsonElement root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("format_version", out JsonElement version)
            || !version.TryGetInt32(out int number))
        {
            throw new MoeFormatException(path, "format_version", "is missing");
        }

        if (number != Version)
            throw new MoeUnsupportedException($"version {number} of compressed folders", path);
        if (!root.TryGetProperty("sha256", out JsonElement files) || files.ValueKind != JsonValueKind.Object)
            throw new MoeFormatException(path, "sha256", "is missing");
        var hashes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (JsonProperty file in files.EnumerateObject())
        {
            if (file.Value.ValueKind != JsonValueKind.String || file.Name.AsSpan().ContainsAny("/\\"))
                throw new MoeFormatException(path, Shown.Short(file.Name), "is no name and hash of a file");
            hashes[file.Name] = file.Value.GetString()!;
        }

        return hashes;
    }

    private static string Hash(string path, Action<int>? count, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using FileStream file = new(
            path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
        byte[] piece = new byte[1 << 20];
        for (int read; (read = file.Read(piece)) > 0; count?.Invoke(read))
        {
            cancellation.ThrowIfCancellationRequested();
            hash.AppendData(piece, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
