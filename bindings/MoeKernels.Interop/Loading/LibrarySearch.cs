using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace MoeKernels.Interop;

/// <summary>Where to look for the native library.</summary>
/// <param name="Chosen">Path that the user chose, or <see langword="null"/>.</param>
/// <param name="Folders">Folders to look in, in this order.</param>
/// <param name="Platform">Runtime identifier of the packages, for example linux-x64.</param>
/// <param name="IsMusl">Whether the process runs on musl instead of glibc.</param>
internal sealed record LibrarySearch(string? Chosen, IReadOnlyList<string> Folders, string Platform, bool IsMusl)
{
    /// <summary>Environment variable with the path that the user chose.</summary>
    public const string Variable = "MOEK_NATIVE";

    /// <summary>File names without prefix and ending; the first one that is found anywhere is taken.</summary>
    private static readonly string[] Names = ["moekernels_cuda", "moekernels"];

    /// <summary>All paths that count, the preferred ones first.</summary>
    public IEnumerable<string> Candidates =>
        from name in Names
        from folder in Folders
        select Path.Combine(folder, FileName(name));

    /// <summary>What holds in this process.</summary>
    public static LibrarySearch OfThisProcess()
    {
        string? chosen = Environment.GetEnvironmentVariable(Variable);
        string platform = $"{SystemName}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
        string[] homes = [.. new[] { AssemblyFolder, AppContext.BaseDirectory }.Where(folder => folder.Length > 0)];
        IEnumerable<string> folders =
        [
            .. homes,
            .. homes.Select(folder => Path.Combine(folder, "runtimes", platform, "native")),
            .. HostFolders,
        ];
        return new(
            string.IsNullOrEmpty(chosen) ? null : chosen,
            [.. folders.Select(folder => Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))).Distinct()],
            platform,
            OperatingSystem.IsLinux() && RunsOnMusl());
    }

    private static string SystemName =>
        OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";

    [UnconditionalSuppressMessage("SingleFile", "IL3000", Justification = "Empty in a single file, and then left out.")]
    private static string AssemblyFolder => Path.GetDirectoryName(typeof(LibrarySearch).Assembly.Location) ?? "";

    /// <summary>Folders of native files that the .NET host knows: packages of an unpublished program, and where a
    /// single file was extracted.</summary>
    private static string[] HostFolders =>
        (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);

    private static string FileName(string name) =>
        OperatingSystem.IsWindows() ? $"{name}.dll" : OperatingSystem.IsMacOS() ? $"lib{name}.dylib" : $"lib{name}.so";

    /// <summary>The C library of a process is among its mapped files, whatever the system calls itself.</summary>
    private static bool RunsOnMusl()
    {
        try
        {
            return File.ReadLines("/proc/self/maps")
                .Any(line => line.Contains("/ld-musl-", StringComparison.Ordinal));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal);
        }
    }
}
