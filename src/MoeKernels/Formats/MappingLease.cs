using System.Runtime.InteropServices;

namespace MoeKernels.Formats;

/// <summary>Keeps native memory alive for a scope, even when another thread disposes its owner meanwhile.</summary>
internal readonly ref struct MappingLease
{
    private readonly SafeHandle _handle;

    /// <summary>Takes the lease.</summary>
    /// <exception cref="ObjectDisposedException">The owner was disposed before.</exception>
    internal MappingLease(SafeHandle handle)
    {
        bool taken = false;
        handle.DangerousAddRef(ref taken);
        _handle = handle;
    }

    /// <summary>Ends the lease.</summary>
    public void Dispose() => _handle.DangerousRelease();
}
