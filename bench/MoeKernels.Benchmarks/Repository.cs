using System.Runtime.CompilerServices;

namespace MoeKernels.Benchmarks;

/// <summary>Where results go: the sources this program was compiled from.</summary>
internal static class Repository
{
    /// <summary>Folder <c>bench</c>.</summary>
    public static string Bench { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, ".."));

    private static string Here([CallerFilePath] string path = "") => path;
}
