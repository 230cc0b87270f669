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
        !IsReserved(name) && !IsTemporary(name);

    /// <summary>Whether a name is one of the folder's own, and no file of a model may have it.</summary>
    public static bool IsReserved(string name) => name is LockFile or StateFile;

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
            FileStream held = new(
                lockPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
            var folder = new PartialFolder(output, held);
            folder.Delete(IsTemporary);
            return folder;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeException($"{path}: cannot be used, perhaps another process writes it: {e.Message}", e);
        }
    }

    /// <summary>Removes everything written so far.</summary>
    public void Clear()
    {
        Delete(name => name != LockFile);
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
        try
        {
            ClearFolders();
            _lock.Dispose();
            if (Directory.Exists(_output))
                Directory.Delete(_output);
            Directory.Move(Path, _output);

            // Last: without its state a folder that could not be renamed would be written from the start.
            File.Delete(System.IO.Path.Combine(_output, StateFile));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeException($"{_output}: cannot be renamed from {Path}: {e.Message}", e);
        }
    }

    /// <summary>Lets other processes in again; a folder in which nothing was written yet is removed.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        try
        {
            if (Directory.Exists(Path) && !Directory.EnumerateFileSystemEntries(Path).Any())
                Directory.Delete(Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // An empty folder that stays is in nobody's way.
        }
    }

    /// <summary>What a process that was killed left of a file it was writing.</summary>
    private static bool IsTemporary(string name) => name.EndsWith(".tmp", StringComparison.Ordinal);

    private void Delete(Func<string, bool> which)
    {
        foreach (string file in Directory.GetFiles(Path).Where(file => which(System.IO.Path.GetFileName(file))))
            File.Delete(file);
    }
}
