namespace MoeKernels.Cli.Output;

/// <summary>What the process returns.</summary>
internal static class ExitCodes
{
    public const int Done = 0;

    /// <summary>Any failure that has no code of its own.</summary>
    public const int Failed = 1;

    public const int Usage = 2;

    /// <summary>A model or other input file is unreadable or unsupported.</summary>
    public const int Unreadable = 3;

    public const int DeviceMissing = 4;

    public const int DoesNotFit = 5;

    /// <summary>A self-test or threshold failed.</summary>
    public const int CheckFailed = 6;

    public const int Cancelled = 130;
}

/// <summary>The user's words make no sense together; shown with exit code <see cref="ExitCodes.Usage"/>.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>A check the user asked for failed; shown with exit code <see cref="ExitCodes.CheckFailed"/>.</summary>
internal sealed class CheckFailedException(string message) : Exception(message);
