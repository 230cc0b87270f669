namespace MoeKernels.Interop;

/// <summary>Owns a <see cref="moek_context"/>: a device with the library's kernels loaded.</summary>
public sealed unsafe class ContextHandle : NativeHandle
{
    /// <summary>Opens a device without callbacks.</summary>
    /// <param name="device">Number of the device.</param>
    /// <exception cref="NativeException">The device cannot be used.</exception>
    /// <exception cref="NativeLoadException">There is no native library.</exception>
    public ContextHandle(int device = 0)
        : this(OfDevice(device))
    {
    }

    /// <summary>Opens a device.</summary>
    /// <param name="desc">What <see cref="Moek.moek_context_desc_init"/> filled; its callbacks and their data must
    /// outlive the handle and everything made with it.</param>
    /// <exception cref="NativeException">The device cannot be used.</exception>
    /// <exception cref="NativeLoadException">There is no native library.</exception>
    public ContextHandle(in moek_context_desc desc)
        : base(null)
    {
        moek_context* context;
        fixed (moek_context_desc* pointer = &desc)
            Own(Moek.moek_context_create(&context, pointer), context, nameof(Moek.moek_context_create));
    }

    /// <summary>Keeps the context alive for a call.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed.</exception>
    public NativeLease<moek_context> Lease() => new(this);

    /// <inheritdoc/>
    private protected override bool Free(nint pointer)
    {
        Moek.moek_context_destroy((moek_context*)pointer);
        return true;
    }

    private static moek_context_desc OfDevice(int device)
    {
        moek_context_desc desc;
        Moek.moek_context_desc_init(&desc);
        desc.device = device;
        return desc;
    }
}
