using System.Diagnostics;
using System.Text.Json;

namespace MoeKernels.Tests.Cli;

/// <summary>Runs the command as a process, as a user does.</summary>
internal static class MoeCommand
{
    public static async Task<CommandResult> RunAsync(params string[] arguments) => await RunAsync(null, arguments);

    public static async Task<CommandResult> RunAsync(string? input, string[] arguments)
    {
        using var process = Start(arguments);
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        return await FinishAsync(process);
    }

    /// <summary>Sends SIGTERM to a command that waits for its input.</summary>
    public static async Task<CommandResult> TerminateAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        await Task.Delay(TimeSpan.FromSeconds(1));
        using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
        await kill.WaitForExitAsync();
        return await FinishAsync(process);
    }

    /// <summary>Runs a command that can write no file beyond a size.</summary>
    public static async Task<CommandResult> RunLimitedAsync(int kibibytes, string[] arguments)
    {
        string[] words = ["-c", $"trap '' XFSZ; ulimit -f {kibibytes}; exec dotnet \"$@\"", "bash", Command];

        // The runtime's own two mappings of its code are a file beyond any limit.
        using var process = Start("bash", [.. words, .. arguments], ("DOTNET_EnableWriteXorExecute", "0"));
        process.StandardInput.Close();
        return await FinishAsync(process);
    }

    /// <summary>Starts a command and leaves it to the caller.</summary>
    public static Process Start(string[] arguments) => Start("dotnet", [Command, .. arguments]);

    private static string Command => Path.Combine(AppContext.BaseDirectory, "moe.dll");

    private static Process Start(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    private static async Task<CommandResult> FinishAsync(Process process)
    {
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return new CommandResult(process.ExitCode, await output, await error);
    }
}

internal sealed record CommandResult(int ExitCode, string Output, string Error)
{
    /// <summary>The output as one JSON document.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    /// <summary>The output as JSON lines.</summary>
    public JsonElement[] JsonLines => Array.ConvertAll(
        Output.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => JsonDocument.Parse(line).RootElement);
}
