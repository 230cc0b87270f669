using System.ComponentModel;
using System.Diagnostics;

namespace MoeKernels.Interop.Tests;

/// <summary>Programs that tests start.</summary>
internal static class Tool
{
    /// <summary>Why a test that needs a program is skipped, or <see langword="null"/> if it is there.</summary>
    public static string? Missing(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Any(folder => folder.Length > 0 && File.Exists(Path.Combine(folder, program)))
            ? null : $"{program} is not on the PATH";

    /// <summary>Runs a program to its end.</summary>
    /// <param name="program">Name or path.</param>
    /// <param name="arguments">Arguments.</param>
    /// <param name="environment">Variables to set.</param>
    /// <returns>Exit code, and standard output and error together.</returns>
    public static (int Code, string Output) Run(
        string program, IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;

        using var process = Process.Start(start) ?? throw new Win32Exception($"{program} did not start");
        var errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }
}
