using MoeKernels.Models.Execution;

namespace MoeKernels.Tests.Models.Decoders;

/// <summary>Cancels a forward call when it reports a tensor: in the middle of the model.</summary>
internal sealed class CancelAt(CancellationTokenSource source, string name) : IForwardTrace
{
    public bool WantsHidden => true;

    public bool WantsRouter => false;

    public void Record(string tensor, ReadOnlySpan<float> values, int rows, int columns)
    {
        if (tensor == name)
            source.Cancel();
    }

    public void Record(string tensor, ReadOnlySpan<int> values, int rows, int columns)
    {
    }
}
