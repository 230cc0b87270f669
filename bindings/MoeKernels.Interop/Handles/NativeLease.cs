namespace MoeKernels.Interop;

/// <summary>A pointer that stays valid until the lease is disposed, even if another thread disposes the
/// handle.</summary>
/// <typeparam name="T">What the pointer points to; <see cref="byte"/> for memory, streams and events.</typeparam>
public readonly unsafe ref struct NativeLease<T>
    where T : unmanaged
{
    private readonly NativeHandle handle;

    /// <summary>Takes the lease.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed.</exception>
    internal NativeLease(NativeHandle handle)
    {
        handle.AddLease();
        this.handle = handle;
    }

    /// <summary>The pointer; null for memory of 0 bytes.</summary>
    public T* Pointer => (T*)handle.DangerousGetHandle();

    /// <summary>Gives the lease back, once.</summary>
    public void Dispose() => handle.DangerousRelease();
}
