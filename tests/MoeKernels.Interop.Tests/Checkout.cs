using System.Runtime.CompilerServices;

namespace MoeKernels.Interop.Tests;

/// <summary>Folders of the checkout.</summary>
internal static class Checkout
{
    /// <summary>Folder that holds <c>MoeKernels.sln</c>.</summary>
    public static string Root { get; } = Path.GetFullPath(Path.Combine(Here(), "..", ".."));

    /// <summary>Folder to which the public headers' names are relative.</summary>
    public static string Include => Path.Combine(Root, "native", "include");

    /// <summary>The C sources of these tests.</summary>
    public static string Sources => Path.Combine(Root, "tests", "MoeKernels.Interop.Tests", "Native");

    private static string Here([CallerFilePath] string source = "") => Path.GetDirectoryName(source)!;
}
