using System.Globalization;
using System.Text.Json;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>One torch file of the authors' folder: what is in it, in which order, under which id.</summary>
/// <param name="Name">Name of the file.</param>
/// <param name="Id">Its serialization id; null where the file has none.</param>
/// <param name="Items">Matrices of a layer, or the other tensors, in the order of the file.</param>
internal sealed record QmoeFileEntry(string Name, string? Id, IReadOnlyList<string> Items);

/// <summary><c>qmoe.json</c> of an imported folder: what is needed beside the tensors to write the authors' files
/// again, byte by byte.</summary>
/// <param name="Layers">Files of the sparse blocks in order.</param>
/// <param name="Dense">The file of everything else.</param>
/// <param name="SizesId">Id of the file of sizes.</param>
internal sealed record QmoeManifest(IReadOnlyList<QmoeFileEntry> Layers, QmoeFileEntry Dense, string? SizesId)
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "qmoe.json";

    /// <summary>Version this code writes and the newest it reads.</summary>
    public const int Version = 1;

    private const string Format = "qmoe";
    private const int MaxBytes = 256 << 20;

    /// <summary>Describes a folder of the authors.</summary>
    /// <exception cref="MoeUnsupportedException">The dense file holds something else than tensors.</exception>
    public static QmoeManifest Of(QmoeCheckpoint source, string? sizesId)
    {
        if (source.Dense.Items.Count != source.Dense.Tensors.Count)
            throw new MoeUnsupportedException("numbers beside the tensors", source.Dense.Path);
        QmoeFileEntry[] layers =
        [
            .. source.Layers.Select((file, layer) => new QmoeFileEntry(
                QmoeCheckpoint.LayerFile(layer), file.SerializationId, source.MatrixNames[layer])),
        ];
        string[] dense = [.. source.Dense.Items.Select(item => item.Key)];
        return new QmoeManifest(
            layers, new QmoeFileEntry(QmoeCheckpoint.DenseFile, source.Dense.SerializationId, dense), sizesId);
    }

    /// <summary>The order of a checkpoint that has no manifest: blocks of the encoder, then of the decoder, experts by
    /// number, all else by name.</summary>
    public static QmoeManifest Default(Checkpoint checkpoint)
    {
        var layers = QmoeTensors.Names(checkpoint)
            .GroupBy(Block, StringComparer.Ordinal)
            .OrderByDescending(group => group.Key.StartsWith("encoder", StringComparison.Ordinal))
            .ThenBy(group => group.Key, NaturalOrder.Instance)
            .Select((group, layer) => new QmoeFileEntry(
                QmoeCheckpoint.LayerFile(layer), null, [.. group.Order(NaturalOrder.Instance)]));
        string[] dense =
        [
            .. checkpoint.Names.Where(name => !name.Contains(".qmoe.", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal),
        ];
        return new QmoeManifest([.. layers], new QmoeFileEntry(QmoeCheckpoint.DenseFile, null, dense), null);
    }

    /// <summary>Reads the manifest of a folder; null where there is none.</summary>
    /// <exception cref="MoeFormatException">It is not valid or was written for another dictionary.</exception>
    /// <exception cref="MoeUnsupportedException">It is of a newer version.</exception>
    public static QmoeManifest? Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            return null;
        using JsonDocument document = JsonText.Parse(path, BoundedFile.Read(path, MaxBytes), uniqueNames: true);
        var reader = new Reader(path);
        JsonElement root = document.RootElement;
        if (reader.Text(root, "format") != Format)
            throw reader.Error("format", $"is not '{Format}'");
        JsonElement version = reader.Member(root, "version");
        if (version.ValueKind != JsonValueKind.Number || !version.TryGetInt32(out int number))
            throw reader.Error("version", "is no number");
        if (number != Version)
        {
            throw new MoeUnsupportedException(
                string.Create(CultureInfo.InvariantCulture, $"version {number} of {FileName}"), path);
        }

        if (reader.Text(root, "dictionary_sha256") is var hash && hash != QmoeDictionary.WordsHash)
            throw reader.Error("dictionary_sha256", $"the codewords are of another dictionary ({Shown.Short(hash)})");
        QmoeFileEntry[] layers = [.. reader.List(root, "layers").Select(reader.File)];
        return new QmoeManifest(layers, reader.File(reader.Member(root, "dense")), reader.OptionalText(root, "sizes"));
    }

    /// <summary>Writes the manifest into a folder.</summary>
    /// <exception cref="MoeException">The file cannot be written.</exception>
    public void Write(string folder)
    {
        string path = Path.Combine(folder, FileName);
        try
        {
            using FileStream stream = File.Create(path);
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" });
            json.WriteStartObject();
            json.WriteString("format", Format);
            json.WriteNumber("version", Version);
            json.WriteString("dictionary_sha256", QmoeDictionary.WordsHash);
            json.WriteStartArray("layers");
            foreach (QmoeFileEntry layer in Layers)
                Write(json, layer);
            json.WriteEndArray();
            json.WritePropertyName("dense");
            Write(json, Dense);
            json.WriteString("sizes", SizesId);
            json.WriteEndObject();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new MoeException($"{path}: cannot be written: {e.Message}", e);
        }
    }

    private static void Write(Utf8JsonWriter json, QmoeFileEntry file)
    {
        json.WriteStartObject();
        json.WriteString("file", file.Name);
        json.WriteString("id", file.Id);
        json.WriteStartArray("items");
        foreach (string item in file.Items)
            json.WriteStringValue(item);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>The sparse block of a matrix: its name up to the experts.</summary>
    private static string Block(string name)
    {
        int end = name.IndexOf(".mlp.experts.", StringComparison.Ordinal);
        return end < 0 ? name : name[..end];
    }

    /// <summary>Reads members and reports those that are missing.</summary>
    private readonly record struct Reader(string Path)
    {
        public JsonElement Member(JsonElement parent, string key) =>
            parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(key, out JsonElement member)
                ? member
                : throw Error(key, "is missing");

        public string Text(JsonElement parent, string key) =>
            OptionalText(parent, key) ?? throw Error(key, "is no text");

        public string? OptionalText(JsonElement parent, string key)
        {
            JsonElement member = Member(parent, key);
            return member.ValueKind is JsonValueKind.String or JsonValueKind.Null
                ? member.GetString()
                : throw Error(key, "is no text");
        }

        public JsonElement.ArrayEnumerator List(JsonElement parent, string key)
        {
            JsonElement member = Member(parent, key);
            return member.ValueKind == JsonValueKind.Array
                ? member.EnumerateArray()
                : throw Error(key, "is no list");
        }

        public QmoeFileEntry File(JsonElement entry)
        {
            var items = new List<string>();
            foreach (JsonElement item in List(entry, "items"))
            {
                bool isText = item.ValueKind == JsonValueKind.String;
                items.Add(isText ? item.GetString()! : throw Error("items", "are not all text"));
            }

            return new QmoeFileEntry(Text(entry, "file"), OptionalText(entry, "id"), items);
        }

        public MoeFormatException Error(string key, string problem) => new(Path, key, problem);
    }

    /// <summary>Compares runs of digits as numbers: <c>expert_2</c> before <c>expert_10</c>.</summary>
    private sealed class NaturalOrder : IComparer<string>
    {
        public static readonly NaturalOrder Instance = new();

        public int Compare(string? x, string? y) => string.CompareOrdinal(Padded(x!), Padded(y!));

        private static string Padded(string name) => string.Join(
            '.', name.Split('.', '_').Select(part => part.All(char.IsAsciiDigit) ? part.PadLeft(10, '0') : part));
    }
}
