using System.Runtime.CompilerServices;

namespace MoeKernels.Tests.Repository;

/// <summary>Where the checkout and its test data lie: found from the sources' own place, or beside the test executable
/// when it was carried to another machine.</summary>
internal static class RepositoryPaths
{
    /// <summary>Folder that holds <c>MoeKernels.sln</c>.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary><c>tests/data</c>.</summary>
    public static string Data => Path.Combine(Root, "tests", "data");

    /// <summary>A path below <c>tests/data</c>.</summary>
    public static string DataFile(params string[] parts) => Path.Combine([Data, .. parts]);

    private static string FindRoot([CallerFilePath] string source = "")
    {
        foreach (string start in new[] { AppContext.BaseDirectory, source })
        {
            for (var folder = new DirectoryInfo(start).Parent; folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "MoeKernels.sln")))
                {
                    return folder.FullName;
                }
            }
        }

        throw new DirectoryNotFoundException("MoeKernels.sln is in no folder above the tests.");
    }
}
