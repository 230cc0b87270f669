namespace MoeKernels.Formats;

/// <summary>Small files that are read whole, with a limit so that a wrong path cannot fill the memory.</summary>
internal static class BoundedFile
{
    /// <summary>Reads a file.</summary>
    /// <exception cref="MoeFormatException">The file is missing, unreadable or longer than the limit.</exception>
    internal static byte[] Read(string path, int maxBytes)
    {
        try
        {
            long length = FileLength.Of(path);
            if (length > maxBytes)
                throw new MoeFormatException(path, null, $"{length} bytes exceed the limit of {maxBytes}");

            // A pipe or device has length 0 here; opening a pipe would wait for its writer.
            return length == 0 ? [] : File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new MoeFormatException(path, null, "the file does not exist", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new MoeFormatException(path, null, $"the file cannot be read: {e.Message}", e);
        }
    }
}
