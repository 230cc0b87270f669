using System.Runtime.InteropServices;

namespace MoeKernels.Interop;

/// <summary>Opens a native library and checks that it is one that these declarations can call.</summary>
internal static unsafe class LibraryLoader
{
    private const int MostNamed = 5;

    /// <summary>Finds, opens and checks the library.</summary>
    /// <param name="search">Where to look.</param>
    /// <exception cref="NativeLoadException">There is none, or it does not fit.</exception>
    public static LoadedLibrary Open(LibrarySearch search)
    {
        string path = Find(search);
        nint address = OpenFile(path);
        try
        {
            return Checked(address, path, search);
        }
        catch (NativeLoadException)
        {
            NativeLibrary.Free(address);
            throw;
        }
    }

    private static string Find(LibrarySearch search)
    {
        if (search.Chosen is { } chosen)
        {
            return File.Exists(chosen) ? Path.GetFullPath(chosen) : throw new NativeLoadException(
                "MOEK1002", $"{LibrarySearch.Variable} names '{chosen}', which is not a file.");
        }

        if (search.IsMusl)
        {
            throw new NativeLoadException(
                "MOEK1003",
                "the packages hold libraries for glibc, and this system uses musl. Build the library here and set "
                + $"{LibrarySearch.Variable} to its path.");
        }

        return search.Candidates.FirstOrDefault(File.Exists) ?? throw new NativeLoadException(
            "MOEK1001",
            $"there is no native library for {search.Platform}. {Remedy(search)} "
            + $"Tried: {string.Join(", ", search.Candidates)}.");
    }

    private static nint OpenFile(string path)
    {
        try
        {
            return NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new NativeLoadException("MOEK1004", $"'{path}' cannot be opened: {e.Message}", e);
        }
    }

    private static LoadedLibrary Checked(nint address, string path, LibrarySearch search)
    {
        if (!NativeLibrary.TryGetExport(address, nameof(Moek.moek_abi), out nint number))
        {
            throw new NativeLoadException(
                "MOEK1005",
                $"'{path}' is not a library of MoeKernels: it lacks {nameof(Moek.moek_abi)}. {Remedy(search)}");
        }

        // The ABI comes before the functions: their absence is only its consequence.
        var abi = NativeAbi.FromNumber(((delegate* unmanaged[Cdecl]<uint>)number)());
        if (!abi.Serves(NativeAbi.Bound))
        {
            throw new NativeLoadException(
                "MOEK1006",
                $"'{path}' has ABI {abi}, and this assembly was made for ABI {NativeAbi.Bound}. Use packages of one "
                + $"version. {Remedy(search)}");
        }

        string[] missing =
            [.. EntryPoints.Names.Where(name => !NativeLibrary.TryGetExport(address, name, out _))];
        if (missing.Length > 0)
        {
            string more = missing.Length > MostNamed ? $" and {missing.Length - MostNamed} more" : "";
            throw new NativeLoadException(
                "MOEK1005", $"'{path}' lacks {string.Join(", ", missing.Take(MostNamed))}{more}. {Remedy(search)}");
        }

        nint version = NativeLibrary.GetExport(address, nameof(Moek.moek_version));
        byte* text = ((delegate* unmanaged[Cdecl]<byte*>)version)();
        return new(address, path, Marshal.PtrToStringUTF8((nint)text) ?? "", abi);
    }

    private static string Remedy(LibrarySearch search) =>
        $"Add the package MoeKernels.Cuda for NVIDIA devices or MoeKernels.Runtime.{search.Platform} for the CPU, "
        + $"or set {LibrarySearch.Variable} to the path of a library.";
}
