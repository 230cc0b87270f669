using System.Runtime.InteropServices;

namespace MoeKernels.Planning;

/// <summary>What the processor calls itself.</summary>
internal static class ProcessorInfo
{
    /// <summary>Model name, or the architecture where the system does not tell.</summary>
    public static string Name
    {
        get
        {
            const string File = "/proc/cpuinfo";
            string? line = System.IO.File.Exists(File)
                ? System.IO.File.ReadLines(File)
                    .FirstOrDefault(entry => entry.StartsWith("model name", StringComparison.Ordinal))
                : null;
            return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim()
                ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER")
                ?? RuntimeInformation.ProcessArchitecture.ToString();
        }
    }
}
