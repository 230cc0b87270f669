using System.Globalization;

namespace MoeKernels;

/// <summary>Where a model runs.</summary>
public sealed record Device
{
    /// <summary>Name of the environment variable that speaks where a caller does not.</summary>
    internal const string Variable = "MOEK_DEVICE";

    private Device(DeviceKind kind, int index) => (Kind, Index) = (kind, index);

    /// <summary>The first CUDA device where there is one, else the CPU. An emulated device is never chosen.</summary>
    public static Device Auto { get; } = new(DeviceKind.Auto, 0);

    /// <summary>The CPU, by .NET's own vector instructions: needs no native files.</summary>
    public static Device Cpu { get; } = new(DeviceKind.Cpu, 0);

    /// <summary>Kind of device.</summary>
    public DeviceKind Kind { get; }

    /// <summary>Number of the device among its kind.</summary>
    public int Index { get; }

    /// <summary>A CUDA device, or the emulated one where the CPU build of the native library is loaded.</summary>
    /// <param name="index">Its number.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative.</exception>
    public static Device Cuda(int index = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return new Device(DeviceKind.Cuda, index);
    }

    /// <summary>Reads <c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>.</summary>
    /// <exception cref="FormatException">It is none of these.</exception>
    public static Device Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        switch (text)
        {
            case "auto":
                return Auto;
            case "cpu":
                return Cpu;
            case "cuda":
                return Cuda();
        }

        return text.StartsWith("cuda:", StringComparison.Ordinal)
            && int.TryParse(text.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int index)
            ? Cuda(index)
            : throw new FormatException($"'{text}' is no device: auto, cpu, cuda or cuda:1 are.");
    }

    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public override string ToString() => Kind switch
    {
        DeviceKind.Auto => "auto",
        DeviceKind.Cpu => "cpu",
        _ => string.Create(CultureInfo.InvariantCulture, $"cuda:{Index}"),
    };

    /// <summary>The device of <see cref="Variable"/>; <see cref="Auto"/> where it is not set.</summary>
    /// <exception cref="FormatException">It names no device.</exception>
    internal static Device OfEnvironment()
    {
        string? text = Environment.GetEnvironmentVariable(Variable);
        try
        {
            return string.IsNullOrEmpty(text) ? Auto : Parse(text);
        }
        catch (FormatException e)
        {
            throw new FormatException($"{Variable}: {e.Message}", e);
        }
    }
}

/// <summary>Kinds of devices.</summary>
public enum DeviceKind
{
    /// <summary>The best there is.</summary>
    Auto,

    /// <summary>The processor.</summary>
    Cpu,

    /// <summary>A GPU of NVIDIA, or its emulation.</summary>
    Cuda,
}
