using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MoeKernels.Interop.Tests.Lifetimes;

/// <summary>A device allocator that counts, to see from outside when a library frees memory. Its few bytes are never
/// freed: finalizers may still count when a test has failed.</summary>
internal sealed unsafe class CountingAllocator
{
    private const nuint Alignment = 256;
    private readonly Counts* counts = (Counts*)NativeMemory.AllocZeroed((nuint)sizeof(Counts));

    /// <summary>Pieces that are allocated now.</summary>
    public int Living => Volatile.Read(ref counts->Allocated) - Volatile.Read(ref counts->Freed);

    /// <summary>Pieces that were freed.</summary>
    public int Freed => Volatile.Read(ref counts->Freed);

    /// <summary>Makes every later allocation fail.</summary>
    public void Exhaust() => counts->Exhausted = 1;

    /// <summary>Opens a context that uses it.</summary>
    public ContextHandle Open()
    {
        moek_context_desc desc;
        Moek.moek_context_desc_init(&desc);
        desc.alloc = &Allocate;
        desc.free_ = &Free;
        desc.user = counts;
        return new(desc);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Allocate(ulong bytes, void* user)
    {
        var counts = (Counts*)user;
        if (counts->Exhausted != 0)
            return null;

        Interlocked.Increment(ref counts->Allocated);
        return NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Free(void* pointer, void* user)
    {
        Interlocked.Increment(ref ((Counts*)user)->Freed);
        NativeMemory.AlignedFree(pointer);
    }

    private struct Counts
    {
        public int Allocated;
        public int Freed;
        public int Exhausted;
    }
}
