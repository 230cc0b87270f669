namespace MoeKernels.Interop;

/// <summary>Owns a stream (a <c>cudaStream_t</c>) that does not wait for the default stream.</summary>
public sealed unsafe class StreamHandle : NativeHandle
{
    /// <summary>Makes a stream.</summary>
    /// <param name="context">The context.</param>
    /// <exception cref="NativeException">The device failed.</exception>
    /// <exception cref="ObjectDisposedException">The context was disposed.</exception>
    public StreamHandle(ContextHandle context)
        : base(context)
    {
        ArgumentNullException.ThrowIfNull(context);
        void* pointer;
        Own(Moek.moek_stream_create(&pointer, Context), pointer, nameof(Moek.moek_stream_create));
    }

    /// <summary>Keeps the stream alive for a call.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed.</exception>
    public NativeLease<byte> Lease() => new(this);

    /// <inheritdoc/>
    private protected override bool Free(nint pointer) =>
        Moek.moek_stream_destroy(Context, (void*)pointer) == moek_status.MOEK_OK;
}
