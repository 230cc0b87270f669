using System.CommandLine;
using MoeKernels.Cli.Output;
using MoeKernels.Compression;

namespace MoeKernels.Cli.Commands;

/// <summary>Options every command has, and how a command's work is run and its errors are reported.</summary>
internal static class CommonOptions
{
    public static Option<string?> Device { get; } = new("--device", "-d")
    {
        Description = "auto, cpu, cuda or cuda:1; default: MOEK_DEVICE, else auto",
        Recursive = true,
    };

    /// <summary>The commands that run a model where they are told to, or plan it; the others are the CPU's.</summary>
    private static readonly string[] DeviceCommands = ["generate", "chat", "eval", "logits", "doctor", "plan"];

    public static Option<bool> Json { get; } = new("--json")
    {
        Description = "Write one JSON document (or JSON lines when streaming) to stdout",
        Recursive = true,
    };

    public static Option<bool> Quiet { get; } = new("--quiet", "-q")
    {
        Description = "No progress and no log",
        Recursive = true,
    };

    /// <summary>Gives a command its work; the work's errors become one line on stderr and an exit code.</summary>
    public static void SetWork(this Command command, Func<ParseResult, Terminal, CancellationToken, Task<int>> work) =>
        command.SetInterruptibleWork((parsed, terminal, interrupts) => work(parsed, terminal, interrupts.Command));

    /// <summary>The same for work that tells a first Ctrl+C from a second.</summary>
    public static void SetInterruptibleWork(
        this Command command, Func<ParseResult, Terminal, Interrupts, Task<int>> work) =>
        command.SetAction(async (parsed, _) =>
        {
            using var interrupts = new Interrupts();
            var terminal = Terminal.Open(parsed.GetValue(Json), parsed.GetValue(Quiet));
            try
            {
                CheckDevice(parsed);
                return await work(parsed, terminal, interrupts);
            }
            catch (Exception exception) when (ExitCode(exception) is { } code)
            {
                terminal.Error(Message(exception));
                return code;
            }
        });

    /// <summary>The device that a user names; null when none is named.</summary>
    /// <exception cref="UsageException">It is no device.</exception>
    public static Device? DeviceOf(ParseResult parsed)
    {
        try
        {
            return parsed.GetValue(Device) is { } text ? MoeKernels.Device.Parse(text) : null;
        }
        catch (FormatException e)
        {
            throw new UsageException(e.Message);
        }
    }

    private static void CheckDevice(ParseResult parsed)
    {
        string command = parsed.CommandResult.Command.Name;
        if (DeviceOf(parsed) is { Kind: DeviceKind.Cuda } device && !DeviceCommands.Contains(command))
            throw new MoeDeviceException(device.ToString(), $"'{command}' runs on the CPU only");
    }

    private static int? ExitCode(Exception exception) => exception switch
    {
        OperationCanceledException => ExitCodes.Cancelled,
        UsageException or ArgumentException => ExitCodes.Usage,
        CheckFailedException or MoeBudgetException => ExitCodes.CheckFailed,
        MoeFormatException or MoeUnsupportedException or FileNotFoundException or DirectoryNotFoundException =>
            ExitCodes.Unreadable,
        MoeDeviceException => ExitCodes.DeviceMissing,
        MoeOutOfMemoryException or OutOfMemoryException => ExitCodes.DoesNotFit,
        MoeException or IOException or UnauthorizedAccessException => ExitCodes.Failed,
        _ => null,
    };

    private static string Message(Exception exception) => exception switch
    {
        OperationCanceledException => "Cancelled.",
        ArgumentException => $"moe: {WithoutParameter(exception.Message)}",
        _ => $"moe: {exception.Message}",
    };

    // The runtime adds the C# parameter and its value to the sentence; the user knows neither.
    private static string WithoutParameter(string message)
    {
        int end = message.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return end < 0 ? message : message[..end];
    }
}
