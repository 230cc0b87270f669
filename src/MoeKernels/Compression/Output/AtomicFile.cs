using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary>Files that appear whole or not at all.</summary>
internal static class AtomicFile
{
    /// <summary>Writes bytes under a temporary name, flushes them to the disk and renames the file.</summary>
    /// <exception cref="MoeException">The file cannot be written.</exception>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream file = new(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                file.Write(bytes);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (FileFailure.Is(e))
        {
            File.Delete(temporary);
            throw new MoeException($"{path}: cannot be written: {e.Message}", e);
        }
    }
}
