namespace MoeKernels.Interop;

/// <summary>A native call failed. Subclasses exist where callers act differently.</summary>
public class NativeException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="status">What the call returned.</param>
    /// <param name="what">The call, for example <c>moek_weights_create</c>.</param>
    /// <param name="text">The library's text of the failure; may be empty.</param>
    public NativeException(moek_status status, string what, string text)
        : base(text.Length > 0 ? $"{what}: {text} ({status})" : $"{what}: {status}")
    {
        Status = status;
        Text = text;
    }

    /// <summary>What the call returned.</summary>
    public moek_status Status { get; }

    /// <summary>The library's text of the failure; may be empty.</summary>
    public string Text { get; }
}

/// <summary>There is no usable driver or device: run on the CPU instead.</summary>
public sealed class NativeDeviceMissingException(moek_status status, string what, string text)
    : NativeException(status, what, text);

/// <summary>The library, build or device has no kernel for these arguments: choose another format or
/// backend.</summary>
public sealed class NativeUnsupportedException(moek_status status, string what, string text)
    : NativeException(status, what, text);

/// <summary>Out of host or device memory: free some or ask for less.</summary>
public sealed class NativeMemoryException(moek_status status, string what, string text)
    : NativeException(status, what, text);

/// <summary>A router met NaN or infinity: the model or its input is broken.</summary>
public sealed class NativeNonFiniteException(moek_status status, string what, string text)
    : NativeException(status, what, text);

/// <summary>Packed weights contradict their own description: the file is damaged.</summary>
public sealed class NativeDataException(moek_status status, string what, string text)
    : NativeException(status, what, text);
