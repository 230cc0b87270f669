using System.Runtime.InteropServices;

namespace MoeKernels.Planning;

/// <summary>The machine a model is to run on.</summary>
/// <param name="Processors">Processors this process may use.</param>
/// <param name="TotalMemoryBytes">Memory of the machine, or of the container's limit.</param>
/// <param name="AvailableMemoryBytes">Memory that can be used without swapping.</param>
/// <param name="KernelSet">Instruction set of the kernels, for example <c>AVX-512</c>.</param>
public sealed record HardwareInfo(
    int Processors, long TotalMemoryBytes, long AvailableMemoryBytes, string KernelSet)
{
    /// <summary>Asks the operating system.</summary>
    public static HardwareInfo Detect()
    {
        long total = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return new HardwareInfo(
            Environment.ProcessorCount, total, Math.Min(total, AvailableMemory() ?? total), KernelSets.Name);
    }

    /// <summary>MemAvailable of Linux; null elsewhere.</summary>
    private static long? AvailableMemory()
    {
        const string File = "/proc/meminfo";
        if (!RuntimeInformation.IsOSPlatform(OSPlatform.Linux) || !System.IO.File.Exists(File))
        {
            return null;
        }

        string? line = System.IO.File.ReadLines(File)
            .FirstOrDefault(entry => entry.StartsWith("MemAvailable:", StringComparison.Ordinal));
        string[] words = (line ?? string.Empty).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return words.Length > 1 && long.TryParse(words[1], out long kibibytes) ? kibibytes * 1024 : null;
    }
}

/// <summary>Which backend was asked for, which one runs, and why.</summary>
/// <param name="Requested">What the caller asked for: <c>auto</c>, <c>cpu</c> or <c>cuda:0</c>.</param>
/// <param name="Actual">What runs.</param>
/// <param name="KernelSet">Instruction set of the kernels.</param>
/// <param name="Threads">Worker threads.</param>
/// <param name="FallbackReason">Why it is not what was asked for; null when it is.</param>
public sealed record BackendInfo(
    string Requested, string Actual, string KernelSet, int Threads, string? FallbackReason = null)
{
    /// <summary>Name of the device; null on the CPU.</summary>
    public string? DeviceName { get; init; }

    /// <summary>Path of the native library in use; null on the CPU.</summary>
    public string? NativePath { get; init; }

    /// <summary>Kinds of layers that run on the CPU although the model is on a device: they have no kernels
    /// there.</summary>
    public IReadOnlyList<string> HostSteps { get; init; } = [];

    /// <summary>One line for a person.</summary>
    public override string ToString()
    {
        string where = DeviceName is null ? Actual : $"{Actual}, {DeviceName}";
        string host = HostSteps.Count == 0 ? "" : $"; on the CPU: {string.Join(", ", HostSteps)}";
        string why = FallbackReason is null ? "" : $": {FallbackReason}";
        return $"running on {where} ({KernelSet}, {Threads} threads){host}{why}";
    }
}
