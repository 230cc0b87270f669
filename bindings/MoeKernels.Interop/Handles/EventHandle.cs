namespace MoeKernels.Interop;

/// <summary>Owns an event (a <c>cudaEvent_t</c>).</summary>
public sealed unsafe class EventHandle : NativeHandle
{
    /// <summary>Makes an event.</summary>
    /// <param name="context">The context.</param>
    /// <exception cref="NativeException">The device failed.</exception>
    /// <exception cref="ObjectDisposedException">The context was disposed.</exception>
    public EventHandle(ContextHandle context)
        : base(context)
    {
        ArgumentNullException.ThrowIfNull(context);
        void* pointer;
        Own(Moek.moek_event_create(&pointer, Context), pointer, nameof(Moek.moek_event_create));
    }

    /// <summary>Keeps the event alive for a call.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed.</exception>
    public NativeLease<byte> Lease() => new(this);

    /// <inheritdoc/>
    private protected override bool Free(nint pointer) =>
        Moek.moek_event_destroy(Context, (void*)pointer) == moek_status.MOEK_OK;
}
