using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MoeKernels.Interop;

/// <summary>Finds and opens the native library, once for the life of the process.</summary>
/// <remarks>
/// <para>The environment variable <c>MOEK_NATIVE</c>, the path of a library, wins. Otherwise
/// <c>libmoekernels_cuda</c> is taken where it is present, else <c>libmoekernels</c>, beside the assembly, beside the
/// application, under <c>runtimes/linux-x64/native</c> of either, or where the host looks for native files.</para>
/// <para>Every failure has a code; the table is in <c>bindings/README.md</c>.</para>
/// </remarks>
public static class NativeRuntime
{
    private static readonly Lazy<Outcome> Loaded = new(Load);

    /// <summary>Path of the library in use.</summary>
    /// <exception cref="NativeLoadException">There is none.</exception>
    public static string Path => Library.Path;

    /// <summary>Version of the library in use, for example 0.1.0.</summary>
    /// <exception cref="NativeLoadException">There is none.</exception>
    public static string Version => Library.Version;

    /// <summary>Binary interface of the library in use.</summary>
    /// <exception cref="NativeLoadException">There is none.</exception>
    public static NativeAbi Abi => Library.Abi;

    /// <summary>Opens the library unless that was done before.</summary>
    /// <param name="reason">Why there is none, beginning with a code; <see langword="null"/> on success.</param>
    /// <returns>Whether the library can be called. The first answer stays.</returns>
    public static bool TryLoad([NotNullWhen(false)] out string? reason)
    {
        reason = Loaded.Value.Error?.Message;
        return reason is null;
    }

    private static LoadedLibrary Library => Loaded.Value.Library ?? throw Again(Loaded.Value.Error!);

    private static Outcome Load()
    {
        try
        {
            return new(LibraryLoader.Open(LibrarySearch.OfThisProcess()), null);
        }
        catch (NativeLoadException e)
        {
            return new(null, e);
        }
    }

    /// <summary>A new exception for every throw: one object would be changed by several threads.</summary>
    private static NativeLoadException Again(NativeLoadException error) =>
        new(error.Code, error.Message[(error.Code.Length + 2)..], error);

    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "The resolver must be there before the first native call.")]
    internal static void RegisterResolver() =>
        NativeLibrary.SetDllImportResolver(typeof(NativeRuntime).Assembly, Resolve);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) =>
        name == Moek.Library ? Library.Address : 0;

    private sealed record Outcome(LoadedLibrary? Library, NativeLoadException? Error);
}
