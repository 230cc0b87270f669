using MoeKernels.Models.Execution;

namespace MoeKernels.Tests.Models;

/// <summary>Keeps everything a forward call reports.</summary>
/// <param name="router">Whether it asks for what the routers did.</param>
internal sealed class RecordingTrace(bool router = true) : IForwardTrace
{
    public bool WantsHidden => true;

    public bool WantsRouter => router;

    public Dictionary<string, float[]> Floats { get; } = [];

    public Dictionary<string, int[]> Ints { get; } = [];

    public void Record(string name, ReadOnlySpan<float> values, int rows, int columns) =>
        Floats.Add(name, values.ToArray());

    public void Record(string name, ReadOnlySpan<int> values, int rows, int columns) =>
        Ints.Add(name, values.ToArray());
}
