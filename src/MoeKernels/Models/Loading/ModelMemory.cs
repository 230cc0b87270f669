using System.Runtime.InteropServices;

namespace MoeKernels.Models.Loading;

/// <summary>Everything a loaded model keeps outside the managed heap: the mapped checkpoint and the copies made of parts
/// of it. A forward call holds a lease, so that disposing the model during one frees nothing under its feet.</summary>
internal sealed unsafe class ModelMemory : SafeHandle
{
    private readonly List<IDisposable> _owned;

    /// <param name="source">The mapped files the model's views point into; disposed with this object.</param>
    public ModelMemory(IDisposable source)
        : base(nint.Zero, ownsHandle: true)
    {
        _owned = [source];
        SetHandle(1);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == nint.Zero;

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

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        _owned.ForEach(owned => owned.Dispose());
        return true;
    }
}
