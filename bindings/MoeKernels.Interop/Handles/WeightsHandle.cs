using System.Runtime.InteropServices;

namespace MoeKernels.Interop;

/// <summary>Owns a <see cref="moek_weights"/>: matrices of one shape.</summary>
public sealed unsafe class WeightsHandle : NativeHandle
{
    /// <summary>Puts the matrices on the device.</summary>
    /// <param name="context">The context.</param>
    /// <param name="desc">What <see cref="Moek.moek_weights_desc_init"/> and the caller filled; read during the
    /// call.</param>
    /// <param name="borrowed">Owners of memory that <see cref="Moek.MOEK_BORROW"/> leaves in place; they are kept
    /// alive.</param>
    /// <exception cref="NativeException">The description is wrong, or the device cannot hold it.</exception>
    /// <exception cref="ObjectDisposedException">The context or an owner was disposed.</exception>
    public WeightsHandle(ContextHandle context, in moek_weights_desc desc, params ReadOnlySpan<SafeHandle> borrowed)
        : base(context, borrowed)
    {
        ArgumentNullException.ThrowIfNull(context);
        moek_weights* created;
        fixed (moek_weights_desc* pointer = &desc)
            Own(Moek.moek_weights_create(&created, Context, pointer), created, nameof(Moek.moek_weights_create));
    }

    /// <summary>Keeps the matrices alive for a call.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed.</exception>
    public NativeLease<moek_weights> Lease() => new(this);

    /// <inheritdoc/>
    private protected override bool Free(nint pointer)
    {
        Moek.moek_weights_destroy((moek_weights*)pointer);
        return true;
    }
}
