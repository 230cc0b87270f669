namespace MoeKernels.Formats;

/// <summary>A model folder as it was downloaded: its configurations and its weights.</summary>
internal sealed class ModelFolder : IDisposable
{
    private const string ConfigFile = "config.json";
    private const string GenerationFile = "generation_config.json";

    private ModelFolder(string path, ConfigReader config, ConfigReader? generationConfig, Checkpoint checkpoint)
    {
        Path = path;
        Config = config;
        GenerationConfig = generationConfig;
        Checkpoint = checkpoint;
    }

    /// <summary>Path of the folder as it was given.</summary>
    internal string Path { get; }

    /// <summary><c>config.json</c>.</summary>
    internal ConfigReader Config { get; }

    /// <summary><c>generation_config.json</c>, or null.</summary>
    internal ConfigReader? GenerationConfig { get; }

    /// <summary>The weights.</summary>
    internal Checkpoint Checkpoint { get; }

    /// <summary>Opens a folder; weights are mapped, not read.</summary>
    /// <param name="path">Path of the folder.</param>
    /// <param name="openWeights">Opens its weights; null for safetensors.</param>
    /// <exception cref="MoeFormatException">The folder or a file is missing or not valid.</exception>
    /// <exception cref="MoeUnsupportedException">The folder or path holds a model in another format or of a newer
    /// version.</exception>
    internal static ModelFolder Open(string path, Func<string, Checkpoint>? openWeights = null)
    {
        ConfigReader config = OpenConfig(path);
        FolderManifest.Check(path);
        string generation = System.IO.Path.Combine(path, GenerationFile);
        ConfigReader? generationConfig = File.Exists(generation) ? ConfigReader.Open(generation) : null;
        return new ModelFolder(path, config, generationConfig, (openWeights ?? Checkpoint.Open)(path));
    }

    /// <summary>Reads only the configuration, for planning without weights.</summary>
    /// <exception cref="MoeFormatException">The folder or file is missing or not valid.</exception>
    internal static ConfigReader OpenConfig(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
            throw new MoeUnsupportedException("GGUF files; give a Hugging Face folder with safetensors", path);

        if (File.Exists(path))
            throw new MoeFormatException(path, null, $"is a file; give the folder that holds {ConfigFile}");

        if (!Directory.Exists(path))
            throw new MoeFormatException(path, null, "no such folder");

        string config = System.IO.Path.Combine(path, ConfigFile);
        if (File.Exists(config))
            return ConfigReader.Open(config);

        // Without a configuration the folder may still show what was meant: weights of another format, or none at all.
        CheckpointIndex.Find(path);
        throw new MoeFormatException(config, null, "the folder holds weights, but no configuration");
    }

    /// <summary>Path of a file of the folder, or null where it does not exist.</summary>
    internal string? FileOrNull(string name)
    {
        string file = System.IO.Path.Combine(Path, name);
        return File.Exists(file) ? file : null;
    }

    /// <summary>Releases the weights.</summary>
    public void Dispose() => Checkpoint.Dispose();
}
