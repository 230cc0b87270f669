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

    private static Process Start(string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "moe.dll"));
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
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
