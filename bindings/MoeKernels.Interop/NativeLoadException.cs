namespace MoeKernels.Interop;

/// <summary>There is no native library that this process can use. The message begins with the code and says what to
/// do.</summary>
public sealed class NativeLoadException : DllNotFoundException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="code">One of the codes in the table of <c>bindings/README.md</c>, for example MOEK1001.</param>
    /// <param name="problem">What was found and what to do.</param>
    /// <param name="innerException">The system's own error, if there was one.</param>
    public NativeLoadException(string code, string problem, Exception? innerException = null)
        : base($"{code}: {problem}", innerException)
    {
        Code = code;
    }

    /// <summary>The code, for example MOEK1001.</summary>
    public string Code { get; }
}
