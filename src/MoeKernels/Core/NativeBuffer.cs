using System.Runtime.InteropServices;

namespace MoeKernels;

/// <summary>
/// Aligned memory outside the garbage collector's heap: KV cache, workspaces, transposed experts. Disposing it twice is
/// harmless; memory that nobody disposes is freed by the handle's finalizer.
/// </summary>
internal sealed unsafe class NativeBuffer : SafeHandle
{
    /// <summary>One cache line, and the width of the widest vector.</summary>
    private const int LineBytes = 64;

    /// <summary>Below this a huge page would mostly be padding.</summary>
    private const int HugePageBytes = 2 << 20;

    private NativeBuffer(void* address, long bytes)
        : base(nint.Zero, ownsHandle: true)
    {
        ByteLength = bytes;
        SetHandle((nint)address);
        GC.AddMemoryPressure(Math.Max(bytes, 1));
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == nint.Zero;

    /// <summary>Usable bytes.</summary>
    internal long ByteLength { get; }

    /// <summary>First byte, aligned to 64 bytes (to 2 MiB from 4 MiB on). Valid while the buffer is not
    /// disposed.</summary>
    /// <exception cref="ObjectDisposedException">The buffer was disposed.</exception>
    internal byte* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsClosed, this);
            return (byte*)handle;
        }
    }

    /// <summary>Allocates memory with undefined content; pages are taken from the system as they are touched.</summary>
    /// <param name="bytes">Bytes, 0 allowed.</param>
    /// <param name="what">What it is for, in the words of the error message: "the KV cache".</param>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    internal static NativeBuffer Allocate(long bytes, string what)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        bool huge = bytes >= 2 * HugePageBytes;
        try
        {
            void* address = NativeMemory.AlignedAlloc((nuint)bytes, (nuint)(huge ? HugePageBytes : LineBytes));
            if (huge)
                LinuxMemory.UseHugePages((nint)address, bytes);

            return new NativeBuffer(address, bytes);
        }
        catch (OutOfMemoryException e)
        {
            throw new MoeOutOfMemoryException(what, bytes, e);
        }
    }

    /// <summary>Allocates memory filled with zeros.</summary>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    internal static NativeBuffer AllocateZeroed(long bytes, string what)
    {
        NativeBuffer buffer = Allocate(bytes, what);
        NativeMemory.Clear(buffer.Pointer, (nuint)bytes);
        return buffer;
    }

    /// <summary>The elements as a span, for buffers below 2^31 elements.</summary>
    internal Span<T> AsSpan<T>()
        where T : unmanaged =>
        new(Pointer, checked((int)(ByteLength / sizeof(T))));

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        GC.RemoveMemoryPressure(Math.Max(ByteLength, 1));
        return true;
    }
}
