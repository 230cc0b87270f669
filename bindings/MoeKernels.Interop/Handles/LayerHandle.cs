using System.Runtime.InteropServices;

namespace MoeKernels.Interop;

/// <summary>Owns a <see cref="moek_layer"/>: router, experts and shared expert of one layer.</summary>
public sealed unsafe class LayerHandle : NativeHandle
{
    /// <summary>Builds a layer.</summary>
    /// <param name="context">The context.</param>
    /// <param name="routed">The routed experts; kept alive.</param>
    /// <param name="shared">The shared expert, kept alive, or <see langword="null"/>.</param>
    /// <param name="desc">What <see cref="Moek.moek_layer_desc_init"/> and the caller filled; its experts are
    /// replaced by the two handles.</param>
    /// <param name="borrowed">Owners of memory that <see cref="Moek.MOEK_BORROW"/> leaves in place; they are kept
    /// alive.</param>
    /// <exception cref="NativeException">The parts do not fit together, or the device cannot hold them.</exception>
    /// <exception cref="ObjectDisposedException">The context, experts or an owner was disposed.</exception>
    public LayerHandle(
        ContextHandle context,
        ExpertsHandle routed,
        ExpertsHandle? shared,
        in moek_layer_desc desc,
        params ReadOnlySpan<SafeHandle> borrowed)
        : base(context, shared is null ? [routed, .. borrowed] : [routed, shared, .. borrowed])
    {
        ArgumentNullException.ThrowIfNull(context);
        var whole = desc;
        whole.routed = (moek_experts*)routed.DangerousGetHandle();
        whole.shared = shared is null ? null : (moek_experts*)shared.DangerousGetHandle();
        moek_layer* layer;
        Own(Moek.moek_layer_create(&layer, Context, &whole), layer, nameof(Moek.moek_layer_create));
    }

    /// <summary>Keeps the layer alive for a call.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed.</exception>
    public NativeLease<moek_layer> Lease() => new(this);

    /// <inheritdoc/>
    private protected override bool Free(nint pointer)
    {
        Moek.moek_layer_destroy((moek_layer*)pointer);
        return true;
    }
}
