using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using MoeKernels.Planning;

namespace MoeKernels.Benchmarks.Reporting;

/// <summary>Where and from what the figures come.</summary>
/// <param name="Date">Start of the run, UTC.</param>
/// <param name="Commit">Commit of the sources, with <c>+changes</c> when the tree differs from it.</param>
/// <param name="Processor">Model name of the processor.</param>
/// <param name="Processors">Processors of the process.</param>
/// <param name="KernelSet">Instruction set the kernels use.</param>
/// <param name="MemoryBytes">Memory of the machine.</param>
/// <param name="Platform">Operating system and .NET.</param>
/// <param name="Command">Command line of the run.</param>
/// <param name="LoadAverage">Runnable threads of the machine over the minute before the run; NaN where unknown.</param>
internal sealed record Machine(
    string Date, string Commit, string Processor, int Processors, string KernelSet, long MemoryBytes, string Platform,
    string Command, double LoadAverage)
{
    public static Machine Detect(string[] arguments)
    {
        var hardware = HardwareInfo.Detect();
        string command = "dotnet run -c Release --project bench/MoeKernels.Benchmarks";
        return new Machine(
            DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture),
            FindCommit(),
            ProcessorInfo.Name,
            hardware.Processors,
            hardware.KernelSet,
            hardware.TotalMemoryBytes,
            $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}",
            arguments.Length == 0 ? command : $"{command} -- {string.Join(' ', arguments)}",
            Load());
    }

    private static string FindCommit()
    {
        string commit = Git("rev-parse --short=12 HEAD");
        return commit.Length == 0 ? "unknown"
            : Git("status --porcelain -- src bench/MoeKernels.Benchmarks").Length == 0 ? commit
            : commit + "+changes";
    }

    private static string Git(string arguments)
    {
        try
        {
            using var git = Process.Start(new ProcessStartInfo("git", arguments) { RedirectStandardOutput = true })!;
            string output = git.StandardOutput.ReadToEnd().Trim();
            git.WaitForExit();
            return git.ExitCode == 0 ? output : string.Empty;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return string.Empty;
        }
    }

    private static double Load()
    {
        const string File = "/proc/loadavg";
        return System.IO.File.Exists(File)
            ? double.Parse(System.IO.File.ReadAllText(File).Split(' ')[0], CultureInfo.InvariantCulture)
            : double.NaN;
    }
}
