using System.Runtime.InteropServices;

namespace MoeKernels;

/// <summary>Advice to the kernel about memory. Elsewhere than on Linux every call answers "not done".</summary>
internal static partial class LinuxMemory
{
    private const int WillNeed = 3;
    private const int DontNeed = 4;
    private const int HugePage = 14;

    /// <summary>Maps the pages of a range for reading, from Linux 5.14.</summary>
    private const int PopulateRead = 22;

    private const int EFault = 14;
    private const int EHwPoison = 133;

    /// <summary>What became of a request to make pages resident.</summary>
    internal enum Populated
    {
        /// <summary>All pages are mapped.</summary>
        Done,

        /// <summary>The system does not know the request; touch the pages instead.</summary>
        NotSupported,

        /// <summary>A page could not be read: touching it would end the process.</summary>
        Unreadable,
    }

    /// <summary>Starts reading a page-aligned range of a mapped file in the background.</summary>
    internal static void StartReading(nint address, long bytes) => Advise(address, bytes, WillNeed, out _);

    /// <summary>Takes a page-aligned range of a mapped file out of this process's resident memory: it is read again
    /// when it is touched, from the page cache as long as it is there.</summary>
    internal static void Release(nint address, long bytes) => Advise(address, bytes, DontNeed, out _);

    /// <summary>Asks for 2 MiB pages: fewer TLB misses on memory that is streamed through. What is mapped of a file is
    /// then also read in such pieces, from Linux 5.18, and cached in such pages where the file system can (ext4 from
    /// Linux 6.16, xfs).</summary>
    /// <returns>Whether the system knows such pages.</returns>
    internal static bool UseHugePages(nint address, long bytes) => Advise(address, bytes, HugePage, out _);

    /// <summary>Reads a page-aligned range of a mapped file and maps its pages, without the risk of a bus
    /// error.</summary>
    internal static Populated Populate(nint address, long bytes) =>
        Advise(address, bytes, PopulateRead, out int error) ? Populated.Done
        : error is EFault or EHwPoison ? Populated.Unreadable
        : Populated.NotSupported;

    private static bool Advise(nint address, long bytes, int advice, out int error)
    {
        error = 0;
        if (!OperatingSystem.IsLinux())
            return false;

        try
        {
            bool done = MAdvise(address, (nuint)bytes, advice) == 0;
            error = done ? 0 : Marshal.GetLastPInvokeError();
            return done;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MAdvise(nint address, nuint length, int advice);
}
