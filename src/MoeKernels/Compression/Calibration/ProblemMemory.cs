namespace MoeKernels.Compression;

/// <summary>Memory of the problems that are kept while a codebook is trained.</summary>
internal sealed class ProblemMemory(int count, long floats) : IDisposable
{
    private readonly NativeBuffer[] _buffers = [.. Enumerable.Range(0, count).Select(_ => Allocate(floats))];

    /// <summary>One problem's memory.</summary>
    public NativeBuffer this[int index] => _buffers[index];

    /// <summary>Memory of one problem.</summary>
    public static NativeBuffer Allocate(long floats) =>
        NativeBuffer.Allocate(floats * sizeof(float), "moments and targets");

    /// <inheritdoc/>
    public void Dispose() => Array.ForEach(_buffers, buffer => buffer.Dispose());
}
