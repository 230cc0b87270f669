using System.Runtime.InteropServices;

namespace MoeKernels.Tests.Cpu;

/// <summary>Memory whose last byte is followed by a page without access.</summary>
internal sealed unsafe class GuardedMemory : IDisposable
{
    private const int NoAccess = 0, ReadWrite = 3, PrivateAnonymous = 0x22;
    private readonly byte* _pages;
    private readonly nint _length;

    public GuardedMemory(int bytes)
    {
        nint page = Environment.SystemPageSize;
        nint usable = (bytes + page - 1) / page * page;
        _length = usable + page;
        _pages = (byte*)Map(0, _length, ReadWrite, PrivateAnonymous, -1, 0);
        Assert.True(_pages != (byte*)-1, "mmap failed");
        Assert.Equal(0, Protect((nint)_pages + usable, page, NoAccess));
        Pointer = _pages + usable - bytes;
    }

    public byte* Pointer { get; }

    public void Dispose() => Assert.Equal(0, Unmap((nint)_pages, _length));

    [DllImport("libc", EntryPoint = "mmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint Map(nint address, nint length, int protection, int flags, int file, nint offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Protect(nint address, nint length, int protection);

    [DllImport("libc", EntryPoint = "munmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Unmap(nint address, nint length);
}

/// <summary>Floats at the end of <see cref="GuardedMemory"/>.</summary>
internal sealed unsafe class GuardedFloats(int count) : IDisposable
{
    private readonly GuardedMemory _memory = new(count * sizeof(float));

    public float* Pointer => (float*)_memory.Pointer;

    public void Dispose() => _memory.Dispose();
}
