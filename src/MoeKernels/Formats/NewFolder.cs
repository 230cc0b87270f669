namespace MoeKernels.Formats;

/// <summary>A folder that appears whole or not at all: it is filled under another name beside its place.</summary>
internal static class NewFolder
{
    /// <summary>Fills a folder and moves it into place.</summary>
    /// <param name="path">Its path: nothing, or an empty folder.</param>
    /// <param name="fill">Writes the files into the folder it is given.</param>
    /// <exception cref="MoeException">There is something of that name, or the folder cannot be made.</exception>
    public static void Create(string path, Action<string> fill)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string temporary = $"{full}.{Guid.NewGuid():N}.tmp";
        try
        {
            if (File.Exists(full) || (Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any()))
                throw new MoeException($"{path}: is there already; give a new or empty folder.");
            Directory.CreateDirectory(temporary);
            fill(temporary);
            if (Directory.Exists(full))
                Directory.Delete(full);
            Directory.Move(temporary, full);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new MoeException($"{path}: cannot be written: {e.Message}", e);
        }
        finally
        {
            Remove(temporary);
        }
    }

    private static void Remove(string folder)
    {
        try
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The failure that led here is the one to report.
        }
    }
}
