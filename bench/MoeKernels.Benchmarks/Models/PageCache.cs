using System.Runtime.InteropServices;

namespace MoeKernels.Benchmarks.Models;

/// <summary>Forgets file contents the system keeps in memory, so that a load reads the disk.</summary>
internal static partial class PageCache
{
    private const int DontNeed = 4;

    /// <summary>Whether the files of a folder are out of memory now; not possible elsewhere than on Linux.</summary>
    public static bool Drop(string folder)
    {
        if (!OperatingSystem.IsLinux())
            return false;

        foreach (string path in Directory.EnumerateFiles(folder))
        {
            // Pages that are not yet on the disk would stay.
            using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
            file.Flush(flushToDisk: true);
            if (Advise((int)file.SafeFileHandle.DangerousGetHandle(), 0, 0, DontNeed) != 0)
                return false;
        }

        return true;
    }

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Advise(int file, long offset, long bytes, int advice);
}
