namespace MoeKernels.Formats;

/// <summary>Tells failures of the file system from those of the code that writes.</summary>
internal static class FileFailure
{
    /// <summary>Name of the parameter when a file grows beyond what the file system or a limit allows, which the
    /// runtime reports as an argument out of range.</summary>
    private const string LengthParameter = "value";

    /// <summary>Whether a file could not be written or read.</summary>
    public static bool Is(Exception e) => e is IOException or UnauthorizedAccessException
        or ArgumentOutOfRangeException { ParamName: LengthParameter };
}
