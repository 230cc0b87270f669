namespace MoeKernels.Compression;

/// <summary>The folder in which a compressed model grows; it gets its name when it is complete.</summary>
internal sealed class PartialFolder : IDisposable
{
    private const string Suffix = ".partial";
    private const string LockFile = "in-use";
    private const string StateFile = "state.json";

    private readonly string _output;
    private readonly FileStream _lock;

    private PartialFolder(string output, FileStream held)
    {
        (_output, _lock) = (output, held);
        Path = output + Suffix;
    }

    /// <summary>Where files are written until then.</summary>
    public string Path { get; }

    /// <summary>Path of the state.</summary>
    public string StatePath => this[StateFile];

    /// <summary>Path of a file.</summary>
    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>Whether a file of the folder belongs to the finished model.</summary>
    public static bool IsModelFile(string name) =>
        name is not (LockFile or StateFile) && !name.EndsWith(".tmp", StringComparison.Ordinal);

    /// <summary>Opens or creates the folder and keeps other processes out.</summary>
    /// <param name="output">Folder that will appear.</param>
    /// <exception cref="MoeException">The output exists already, another process is writing it, or it cannot be
    /// written.</exception>
    public static PartialFolder Open(string output)
    {
        output = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(output));
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new MoeException($"{output}: exists already; delete it or give another name");

        string path = output + Suffix;
        try
        {
            Directory.CreateDirectory(path);
            string lockPath = System.IO.Path.Combine(path, LockFile);
            return new PartialFolder(
                output, new FileStream(lockPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeException($"{path}: cannot be used, perhaps another process writes it: {e.Message}", e);
        }
    }

    /// <summary>Removes everything written so far.</summary>
    public void Clear()
    {
        foreach (string file in Directory.GetFiles(Path).Where(file => file != this[LockFile]))
            File.Delete(file);
        ClearFolders();
    }

    /// <summary>Removes folders inside it, which a stopped run may have left.</summary>
    private void ClearFolders()
    {
        foreach (string folder in Directory.GetDirectories(Path))
            Directory.Delete(folder, recursive: true);
    }

    /// <summary>Gives the folder its name.</summary>
    /// <exception cref="MoeException">It cannot be renamed.</exception>
    public void Complete()
    {
        File.Delete(StatePath);
        _lock.Dispose();
        File.Delete(this[LockFile]);
        try
        {
            ClearFolders();
            if (Directory.Exists(_output))
                Directory.Delete(_output);
            Directory.Move(Path, _output);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeException($"{_output}: cannot be renamed from {Path}: {e.Message}", e);
        }
    }

    /// <summary>Lets other processes in again.</summary>
    public void Dispose() => _lock.Dispose();
}
