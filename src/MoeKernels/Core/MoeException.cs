namespace MoeKernels;

/// <summary>Base of every error this library reports that is not the caller's mistake in an argument.</summary>
public class MoeException : Exception
{
    /// <summary>Creates the exception with a message that names the file, tensor, key or step concerned.</summary>
    public MoeException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception with a message and the error that caused it.</summary>
    public MoeException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}

/// <summary>A file is truncated, contradicts itself or does not hold what the model needs.</summary>
public sealed class MoeFormatException : MoeException
{
    /// <summary>Creates the exception for one file and, where known, the tensor or key in it.</summary>
    /// <param name="file">Path of the file, as the user gave it or as found in the model folder.</param>
    /// <param name="item">Tensor name, JSON key or <see langword="null"/> when the whole file is concerned.</param>
    /// <param name="problem">What is wrong, in one sentence without the file's name.</param>
    /// <param name="innerException">The error below, if any.</param>
    public MoeFormatException(string file, string? item, string problem, Exception? innerException = null)
        : base(item is null ? $"{file}: {problem}" : $"{file}: '{item}': {problem}", innerException)
    {
        File = file;
        Item = item;
    }

    /// <summary>Path of the file concerned.</summary>
    public string File { get; }

    /// <summary>Tensor name or JSON key concerned, or <see langword="null"/>.</summary>
    public string? Item { get; }
}

/// <summary>The model, tokenizer or template asks for something this library does not do; the feature is
/// named.</summary>
public sealed class MoeUnsupportedException : MoeException
{
    /// <summary>Creates the exception for a named feature.</summary>
    /// <param name="feature">The missing feature in the words of the file that asked for it.</param>
    /// <param name="where">File or key that asked for it.</param>
    public MoeUnsupportedException(string feature, string? where = null)
        : base(where is null ? $"Unsupported: {feature}." : $"{where}: unsupported: {feature}.")
    {
        Feature = feature;
    }

    /// <summary>The missing feature.</summary>
    public string Feature { get; }
}

/// <summary>A computation produced NaN or infinity where the step cannot go on (for example in router
/// logits).</summary>
public sealed class MoeNonFiniteException : MoeException
{
    /// <summary>Creates the exception for a step, for example <c>model.layers.3.mlp.gate</c>.</summary>
    public MoeNonFiniteException(string step, string problem)
        : base($"{step}: {problem}")
    {
        Step = step;
    }

    /// <summary>Module path of the step.</summary>
    public string Step { get; }
}

/// <summary>More tokens were given than the session's context holds.</summary>
public sealed class MoeContextException : MoeException
{
    /// <summary>Creates the exception with the numbers that clash.</summary>
    public MoeContextException(int position, int tokens, int contextLength)
        : base($"{tokens} more tokens at position {position} exceed the context length of {contextLength}.")
    {
        ContextLength = contextLength;
    }

    /// <summary>Tokens the session can hold.</summary>
    public int ContextLength { get; }
}

/// <summary>The memory a model or session needs is not there.</summary>
public sealed class MoeOutOfMemoryException : MoeException
{
    /// <summary>Creates the exception with the bytes that were asked for.</summary>
    public MoeOutOfMemoryException(string what, long bytes, Exception? innerException = null)
        : base($"Not enough memory for {what}: {bytes} bytes.", innerException)
    {
        Bytes = bytes;
    }

    /// <summary>Bytes asked for.</summary>
    public long Bytes { get; }
}

/// <summary>A device was required and is missing or failed.</summary>
public sealed class MoeDeviceException : MoeException
{
    /// <summary>Creates the exception for a device by name (<c>cuda:0</c>).</summary>
    public MoeDeviceException(string device, string problem)
        : base($"{device}: {problem}")
    {
        Device = device;
    }

    /// <summary>The device concerned.</summary>
    public string Device { get; }
}
