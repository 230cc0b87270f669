using System.Diagnostics;
using System.Globalization;

namespace MoeKernels.Planning;

/// <summary>Memory of this process.</summary>
internal static class ProcessMemory
{
    /// <summary>VmHWM of Linux: the most memory the process ever had resident, mapped weights included; elsewhere the
    /// peak of the working set.</summary>
    public static long PeakResidentBytes() => Status("VmHWM:") ?? Ask(process => process.PeakWorkingSet64);

    /// <summary>VmRSS of Linux: what is resident now; elsewhere the working set.</summary>
    public static long ResidentBytes() => Status("VmRSS:") ?? Ask(process => process.WorkingSet64);

    private static long? Status(string name)
    {
        const string File = "/proc/self/status";
        string? line = System.IO.File.Exists(File)
            ? System.IO.File.ReadLines(File).FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))
            : null;
        string[] words = (line ?? string.Empty).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return words.Length > 1 && long.TryParse(words[1], CultureInfo.InvariantCulture, out long kibibytes)
            ? kibibytes * 1024
            : null;
    }

    private static long Ask(Func<Process, long> read)
    {
        using var process = Process.GetCurrentProcess();
        return read(process);
    }
}
