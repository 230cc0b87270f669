namespace MoeKernels.Interop;

/// <summary>Owns page-locked host memory, from and to which copies run without the host.</summary>
public sealed unsafe class HostMemory : NativeHandle
{
    /// <summary>Allocates memory; its content is undefined.</summary>
    /// <param name="context">The context.</param>
    /// <param name="bytes">Size; 0 is allowed.</param>
    /// <exception cref="NativeException">There is not enough memory.</exception>
    /// <exception cref="ObjectDisposedException">The context was disposed.</exception>
    public HostMemory(ContextHandle context, ulong bytes)
        : base(context)
    {
        ArgumentNullException.ThrowIfNull(context);
        Bytes = bytes;
        void* pointer;
        Own(Moek.moek_host_alloc(&pointer, Context, bytes), pointer, nameof(Moek.moek_host_alloc));
    }

    /// <summary>Size.</summary>
    public ulong Bytes { get; }

    /// <summary>Keeps the memory alive for a call.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed.</exception>
    public NativeLease<byte> Lease() => new(this);

    /// <inheritdoc/>
    private protected override bool Free(nint pointer) =>
        Moek.moek_host_free(Context, (void*)pointer) == moek_status.MOEK_OK;
}
