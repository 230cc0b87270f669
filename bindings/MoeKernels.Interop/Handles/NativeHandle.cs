using System.Runtime.InteropServices;

namespace MoeKernels.Interop;

/// <summary>Owns one native object and keeps alive what that object needs.</summary>
/// <remarks>Disposing a handle that others need, or in any order, is allowed: the native object goes when the last of
/// them has gone. The handle itself cannot be used any more.</remarks>
public abstract unsafe class NativeHandle : SafeHandle
{
    private readonly SafeHandle[] parents;
    private int heldParents;
    private volatile bool disposed;

    /// <summary>Prepares a handle without a native object.</summary>
    /// <param name="context">The context it is made with, or <see langword="null"/> for a context.</param>
    /// <param name="others">What else must outlive it.</param>
    /// <exception cref="ObjectDisposedException">One of them was disposed.</exception>
    private protected NativeHandle(ContextHandle? context, params ReadOnlySpan<SafeHandle> others)
        : base(0, ownsHandle: true)
    {
        parents = context is null ? [.. others] : [context, .. others];
        try
        {
            foreach (var parent in parents)
                Hold(parent);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <summary>The context's pointer, valid as long as this handle is.</summary>
    private protected moek_context* Context => (moek_context*)parents[0].DangerousGetHandle();

    /// <summary>Frees the native object.</summary>
    /// <returns>Whether the library agreed.</returns>
    private protected abstract bool Free(nint pointer);

    /// <summary>Takes the result of the creating call: owns the object, or throws and lets go of the parents.</summary>
    private protected void Own(moek_status status, void* pointer, string what)
    {
        if (status != moek_status.MOEK_OK)
        {
            // The text is read first: letting go may call the library.
            var error = NativeStatus.Error(status, what);
            Dispose();
            throw error;
        }

        SetHandle((nint)pointer);
    }

    /// <summary>Keeps the object alive for a call.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed, even if others still keep its object.
    /// </exception>
    internal void AddLease()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        bool added = false;
        DangerousAddRef(ref added);
    }

    /// <inheritdoc/>
    protected sealed override bool ReleaseHandle()
    {
        bool freed = Free(handle);
        ReleaseParents();
        return freed;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        disposed = true;
        base.Dispose(disposing);

        // ReleaseHandle is not called for a handle that never owned an object.
        if (IsInvalid)
            ReleaseParents();
    }

    private void Hold(SafeHandle parent)
    {
        ArgumentNullException.ThrowIfNull(parent);
        if (parent is NativeHandle native)
        {
            native.AddLease();
        }
        else
        {
            bool added = false;
            parent.DangerousAddRef(ref added);
        }

        heldParents++;
    }

    private void ReleaseParents()
    {
        for (int i = Interlocked.Exchange(ref heldParents, 0) - 1; i >= 0; i--)
            parents[i].DangerousRelease();
    }
}
