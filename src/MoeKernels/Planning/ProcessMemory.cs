using System.Diagnostics;
using System.Globalization;

namespace MoeKernels.Planning;

/// <summary>Memory of this process.</summary>
internal static class ProcessMemory
{
    /// <summary>VmHWM of Linux: the most memory the process ever had resident, mapped weights included; elsewhere the
    /// peak of the working set.</summary>
    public static long PeakResidentBytes()
    {
        const string File = "/proc/self/status";
        string? line = System.IO.File.Exists(File)
            ? System.IO.File.ReadLines(File).FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal))
            : null;
        string[] words = (line ?? string.Empty).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length > 1 && long.TryParse(words[1], CultureInfo.InvariantCulture, out long kibibytes))
        {
            return kibibytes * 1024;
        }

        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
