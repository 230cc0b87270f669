using System.Text.Json;

namespace MoeKernels.Formats;

/// <summary>Which files hold the weights of a folder, and what the index promises about them.</summary>
internal sealed class CheckpointIndex
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";

    /// <summary>Kimi-K2 lists about 10^5 tensors in 10 MB.</summary>
    private const int MaxIndexBytes = 256 << 20;

    /// <summary>Endings of weight formats users meet, for an answer better than "nothing found".</summary>
    private static readonly string[] ForeignFormats =
        [".gguf", ".bin", ".pt", ".pth", ".onnx", ".h5", ".msgpack", ".npz", ".ckpt"];

    private readonly string _path;

    /// <summary>Shard path by tensor name; null without an index.</summary>
    private readonly Dictionary<string, string>? _fileOf;

    private CheckpointIndex(string path, IReadOnlyList<string> files, Dictionary<string, string>? fileOf)
    {
        _path = path;
        Files = files;
        _fileOf = fileOf;
    }

    /// <summary>Paths of the weight files in ordinal order.</summary>
    internal IReadOnlyList<string> Files { get; }

    /// <summary>Looks for weights: one file, an index, or whatever safetensors files there are.</summary>
    /// <exception cref="MoeFormatException">There are none, or the index is not valid.</exception>
    /// <exception cref="MoeUnsupportedException">There are weights of another format only.</exception>
    internal static CheckpointIndex Find(string folder)
    {
        string single = Path.Combine(folder, SingleFile);
        if (File.Exists(single))
            return new CheckpointIndex(single, [single], null);

        string index = Path.Combine(folder, IndexFile);
        if (File.Exists(index))
            return Read(folder, index);

        string[] files = List(folder);
        string[] shards = Array.FindAll(files, file => file.EndsWith(".safetensors", StringComparison.Ordinal));
        return shards.Length > 0 ? new CheckpointIndex(folder, shards, null) : throw NoWeights(folder, files);
    }

    /// <summary>Checks that each listed tensor is in the file the index names.</summary>
    internal void Check(Checkpoint checkpoint)
    {
        foreach ((string name, string file) in _fileOf ?? [])
        {
            if (!checkpoint.TryGet(name, out Tensor? tensor))
                throw new MoeFormatException(file, Shown.Short(name), $"the tensor is missing here; {_path} lists it");

            if (tensor.FilePath != file)
                throw new MoeFormatException(
                    _path, Shown.Short(name), $"the index names {file}, but the tensor is in {tensor.FilePath}");
        }
    }

    private static CheckpointIndex Read(string folder, string path)
    {
        using JsonDocument document = JsonText.Parse(path, BoundedFile.Read(path, MaxIndexBytes), uniqueNames: true);
        return Read(folder, path, document.RootElement);
    }

    private static CheckpointIndex Read(string folder, string path, JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("weight_map", out JsonElement map)
            || map.ValueKind != JsonValueKind.Object)
        {
            throw new MoeFormatException(path, "weight_map", "the index holds no such object");
        }

        var fileOf = new Dictionary<string, string>(StringComparer.Ordinal);
        var files = new SortedSet<string>(StringComparer.Ordinal);
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            string shard = ShardPath(folder, path, entry);
            files.Add(shard);
            fileOf[entry.Name] = shard;
        }

        if (files.FirstOrDefault(file => !File.Exists(file)) is { } missing)
        {
            string tensor = fileOf.First(pair => pair.Value == missing).Key;
            throw new MoeFormatException(missing, Shown.Short(tensor), $"the file does not exist, but {path} names it");
        }

        return files.Count > 0
            ? new CheckpointIndex(path, [.. files], fileOf)
            : throw new MoeFormatException(path, "weight_map", "the index lists no tensor");
    }

    /// <summary>The path of a shard, which must be inside the folder: an index must not read other files.</summary>
    private static string ShardPath(string folder, string path, JsonProperty entry)
    {
        string? name = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString() : null;
        if (string.IsNullOrEmpty(name) || name.Contains('\0', StringComparison.Ordinal))
            throw new MoeFormatException(path, Shown.Short(entry.Name), "the index names no file for the tensor");

        bool escapes = Path.IsPathRooted(name) || name.Split('/', '\\').Contains("..");
        return escapes
            ? throw new MoeFormatException(
                path, Shown.Short(entry.Name), $"the index names a file outside the folder: '{Shown.Short(name)}'")
            : Path.Combine(folder, name);
    }

    private static string[] List(string folder)
    {
        try
        {
            string[] files = Directory.GetFiles(folder);
            Array.Sort(files, StringComparer.Ordinal);
            return files;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeFormatException(folder, null, $"the folder cannot be read: {e.Message}", e);
        }
    }

    private static MoeException NoWeights(string folder, string[] files)
    {
        string? foreign = Array.Find(files, file => Array.Exists(
            ForeignFormats, ending => file.EndsWith(ending, StringComparison.OrdinalIgnoreCase)));
        return foreign is null
            ? new MoeFormatException(
                folder, null, $"the folder holds neither {SingleFile} nor {IndexFile} nor any other *.safetensors file")
            : new MoeUnsupportedException(
                $"{Path.GetExtension(foreign)} weights ({Path.GetFileName(foreign)}); convert them to safetensors",
                folder);
    }
}
