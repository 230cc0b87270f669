namespace MoeKernels.Models.Execution;

/// <summary>Scratch memory of forward calls: a stack of arrays inside one buffer that is sized once, so that a warm
/// forward call allocates nothing and the memory plan is exact.</summary>
internal sealed unsafe class Workspace : IDisposable
{
    private const long AlignmentFloats = 16;

    private readonly NativeBuffer _buffer;
    private readonly List<IDisposable> _owned = [];
    private readonly long _capacity;
    private long _used;

    /// <summary>Reserves the buffer.</summary>
    /// <param name="floats">Capacity, as <see cref="Transformer.ScratchFloats(int, int, int)"/> computes it.</param>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public Workspace(long floats)
    {
        _capacity = floats;
        _buffer = NativeBuffer.Allocate(floats * sizeof(float), "the workspace");
    }

    public long Bytes => _capacity * sizeof(float);

    /// <summary>Floats that an array of <paramref name="count"/> takes inside the buffer.</summary>
    public static long Rounded(long count) => (count + AlignmentFloats - 1) / AlignmentFloats * AlignmentFloats;

    /// <summary>The current top, to be given to <see cref="Release"/>.</summary>
    public long Mark() => _used;

    /// <summary>Gives back everything taken since <paramref name="mark"/>.</summary>
    public void Release(long mark) => _used = mark;

    /// <summary>Takes <paramref name="count"/> floats with undefined contents, 64-byte aligned.</summary>
    /// <exception cref="InvalidOperationException">A layer takes more than it declared.</exception>
    public float* Take(long count)
    {
        long rounded = Rounded(count);
        if (_used + rounded > _capacity)
        {
            throw new InvalidOperationException(
                $"Workspace of {_capacity} floats exceeded: {_used} used, {count} more asked for.");
        }

        float* taken = (float*)_buffer.Pointer + _used;
        _used += rounded;
        return taken;
    }

    /// <summary>Takes <paramref name="count"/> integers with undefined contents: as many floats.</summary>
    /// <exception cref="InvalidOperationException">A layer takes more than it declared.</exception>
    public int* TakeInts(long count) => (int*)Take(count);

    /// <summary>Disposes something else together with the workspace.</summary>
    public T Own<T>(T part)
        where T : IDisposable
    {
        _owned.Add(part);
        return part;
    }

    public void Dispose()
    {
        _owned.ForEach(part => part.Dispose());
        _buffer.Dispose();
    }
}
