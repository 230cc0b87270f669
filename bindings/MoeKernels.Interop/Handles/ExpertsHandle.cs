using System.Runtime.InteropServices;

namespace MoeKernels.Interop;

/// <summary>Owns a <see cref="moek_experts"/>: the routed or shared experts of a layer.</summary>
public sealed unsafe class ExpertsHandle : NativeHandle
{
    /// <summary>Puts the experts on the device.</summary>
    /// <param name="context">The context.</param>
    /// <param name="desc">What <see cref="Moek.moek_experts_desc_init"/> and the caller filled; read during the
    /// call.</param>
    /// <param name="borrowed">Owners of memory that <see cref="Moek.MOEK_BORROW"/> leaves in place; they are kept
    /// alive.</param>
    /// <exception cref="NativeException">The description is wrong, or the device cannot hold it.</exception>
    /// <exception cref="ObjectDisposedException">The context or an owner was disposed.</exception>
    public ExpertsHandle(ContextHandle context, in moek_experts_desc desc, params ReadOnlySpan<SafeHandle> borrowed)
        : base(context, borrowed)
    {
        ArgumentNullException.ThrowIfNull(context);
        moek_experts* created;
        fixed (moek_experts_desc* pointer = &desc)
            Own(Moek.moek_experts_create(&created, Context, pointer), created, nameof(Moek.moek_experts_create));
    }

    /// <summary>Keeps the experts alive for a call.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed.</exception>
    public NativeLease<moek_experts> Lease() => new(this);

    /// <inheritdoc/>
    private protected override bool Free(nint pointer)
    {
        Moek.moek_experts_destroy((moek_experts*)pointer);
        return true;
    }
}
