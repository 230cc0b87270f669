namespace MoeKernels.Models.Loading;

/// <summary>Everything a loaded model keeps outside the managed heap: the mapped checkpoint and the copies made of
/// parts of it. A forward call holds a lease, so that disposing the model during one frees nothing under its
/// feet.</summary>
internal sealed unsafe class ModelMemory : IDisposable
{
    private readonly List<IDisposable> _owned;
    private readonly Lifetime _lifetime;

    /// <param name="source">The mapped files the model's views point into; disposed with this object.</param>
    public ModelMemory(IDisposable source)
    {
        _owned = [source];
        _lifetime = new Lifetime(this, () => _owned.ForEach(owned => owned.Dispose()));
    }

    /// <summary>Bytes of the copies.</summary>
    public long CopiedBytes { get; private set; }

    /// <summary>Allocates memory that lives as long as the model.</summary>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public T* Allocate<T>(long count, string what)
        where T : unmanaged
    {
        NativeBuffer buffer = Own(NativeBuffer.Allocate(count * sizeof(T), what));
        CopiedBytes += count * sizeof(T);
        return (T*)buffer.Pointer;
    }

    /// <summary>Copies values into memory that lives as long as the model.</summary>
    public T* Keep<T>(ReadOnlySpan<T> values, string what)
        where T : unmanaged
    {
        T* copy = Allocate<T>(values.Length, what);
        values.CopyTo(new Span<T>(copy, values.Length));
        return copy;
    }

    /// <summary>Disposes something else together with the model.</summary>
    public T Own<T>(T resource)
        where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    /// <summary>Disposes a copy of weights together with the model.</summary>
    /// <param name="copy">What holds it.</param>
    /// <param name="bytes">Bytes it takes.</param>
    public void OwnCopy(IDisposable copy, long bytes)
    {
        Own(copy);
        CopiedBytes += bytes;
    }

    /// <summary>Keeps everything until the returned lease is disposed; allocates nothing.</summary>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public Lifetime.Lease Acquire() => _lifetime.Acquire();

    /// <summary>Frees everything, now or when the last lease ends. May be called again.</summary>
    public void Dispose() => _lifetime.Dispose();
}
