namespace MoeKernels.Interop.Tests.Loading;

/// <summary>Which file is taken, and that each wrong one is refused with its own code and a remedy.</summary>
public sealed class LoaderTests : IDisposable
{
    private readonly TemporaryFolder files = new();

    public void Dispose() => files.Dispose();

    [Fact]
    public void NoFile_NamesThePathsAndThePackages()
    {
        var error = Refused(In(files["a"], files["b"]));
        Assert.Equal("MOEK1001", error.Code);
        Assert.Contains("MoeKernels.Cuda", error.Message, StringComparison.Ordinal);
        Assert.Contains("MoeKernels.Runtime.linux-x64", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            $"{files["a", "libmoekernels_cuda.so"]}, {files["b", "libmoekernels_cuda.so"]}, "
            + $"{files["a", "libmoekernels.so"]}, {files["b", "libmoekernels.so"]}.",
            error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void ChosenFileThatIsMissing_IsNotReplacedByAnother()
    {
        string path = files.Write("", "libmoekernels.so");
        var error = Refused(In(files.Folder) with { Chosen = path + ".none" });
        Assert.Equal("MOEK1002", error.Code);
        Assert.StartsWith($"MOEK1002: MOEK_NATIVE names '{path}.none'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Musl_IsRefusedUnlessAFileIsChosen()
    {
        string path = files.Write("", "libmoekernels.so");
        var search = In(files.Folder) with { IsMusl = true };
        Assert.Equal("MOEK1003", Refused(search).Code);
        Assert.Equal("MOEK1004", Refused(search with { Chosen = path }).Code);
    }

    [Fact]
    public void FileThatIsNoLibrary_IsRefusedWithTheSystemsReason()
    {
        string path = files.Write("not a library", "libmoekernels.so");
        var error = Refused(In(files.Folder));
        Assert.Equal("MOEK1004", error.Code);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.NotNull(error.InnerException);
    }

    [Fact]
    public void ForeignLibrary_IsRefused()
    {
        Compile("libmoekernels.so", "int other(void) { return 1; }");
        var error = Refused(In(files.Folder));
        Assert.Equal("MOEK1005", error.Code);
        Assert.Contains("it lacks moek_abi", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    public void OtherMajor_IsRefusedBeforeMissingFunctions(int above, int below)
    {
        int major = Moek.MOEK_ABI_MAJOR + above - below;
        Compile("libmoekernels.so", $"unsigned moek_abi(void) {{ return {major}u << 16 | 7; }}");
        var error = Refused(In(files.Folder));
        Assert.Equal("MOEK1006", error.Code);
        Assert.Contains($"has ABI {major}.7", error.Message, StringComparison.Ordinal);
        Assert.Contains($"made for ABI {NativeAbi.Bound}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MissingFunctions_AreNamed()
    {
        string[] left = ["moek_abi", "moek_combine", "moek_layer_forward"];
        Compile("libmoekernels.so", Abi(0) + NativeLibraries.WeakFunctions(EntryPoints.Names.Except(left)));
        var error = Refused(In(files.Folder));
        Assert.Equal("MOEK1005", error.Code);
        Assert.Contains("lacks moek_combine, moek_layer_forward.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ManyMissingFunctions_AreCounted()
    {
        Compile("libmoekernels.so", Abi(0));
        int more = EntryPoints.Names.Count - 1 - 5;
        Assert.Contains($" and {more} more.", Refused(In(files.Folder)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void FittingLibrary_IsOpened(int newer)
    {
        Compile("libmoekernels.so", Complete(newer));
        var library = LibraryLoader.Open(In(files["none"], files.Folder));
        Assert.Equal(files["libmoekernels.so"], library.Path);
        Assert.Equal("1.2.3", library.Version);
        Assert.Equal(NativeAbi.Bound with { Minor = NativeAbi.Bound.Minor + newer }, library.Abi);
        Assert.NotEqual(0, library.Address);
    }

    [Fact]
    public void CudaLibrary_IsPreferredInAnyFolder()
    {
        Compile("libmoekernels.so", Complete(0));
        Directory.CreateDirectory(files["later"]);
        File.Copy(files["libmoekernels.so"], files["later", "libmoekernels_cuda.so"]);
        var library = LibraryLoader.Open(In(files.Folder, files["later"]));
        Assert.Equal(files["later", "libmoekernels_cuda.so"], library.Path);
    }

    [Fact]
    public void ChosenLibrary_Wins()
    {
        Compile("libmoekernels_cuda.so", Complete(0));
        Compile("mine.so", Complete(1));
        var library = LibraryLoader.Open(In(files.Folder) with { Chosen = files["mine.so"] });
        Assert.Equal(files["mine.so"], library.Path);
    }

    [Fact]
    public void Process_LooksBesideTheAssemblyAndUnderRuntimes()
    {
        var search = LibrarySearch.OfThisProcess();
        string home = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        Assert.Equal(home, search.Folders[0]);
        Assert.Contains(Path.Combine(home, "runtimes", search.Platform, "native"), search.Folders);
        Assert.Equal(search.Folders.Distinct(), search.Folders);
    }

    [Theory]
    [InlineData(1, 3, 1, 3, true)]
    [InlineData(1, 4, 1, 3, true)]
    [InlineData(1, 2, 1, 3, false)]
    [InlineData(2, 3, 1, 3, false)]
    [InlineData(0, 9, 1, 3, false)]
    public void Abi_ServesSameMajorAndOlderMinor(int major, int minor, int callerMajor, int callerMinor, bool serves) =>
        Assert.Equal(serves, new NativeAbi(major, minor).Serves(new(callerMajor, callerMinor)));

    private static LibrarySearch In(params string[] folders) => new(null, folders, "linux-x64", IsMusl: false);

    private static NativeLoadException Refused(LibrarySearch search)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "file names of Linux");
        var error = Assert.Throws<NativeLoadException>(() => LibraryLoader.Open(search));
        Assert.StartsWith(error.Code + ": ", error.Message, StringComparison.Ordinal);
        return error;
    }

    private static string Abi(int newer) =>
        $"unsigned moek_abi(void) {{ return {(Moek.MOEK_ABI_MAJOR << 16) + Moek.MOEK_ABI_MINOR + newer}u; }}\n";

    private static string Complete(int newer) =>
        $"{Abi(newer)}const char *moek_version(void) {{ return \"1.2.3\"; }}\n"
        + NativeLibraries.WeakFunctions(EntryPoints.Names.Except(["moek_abi", "moek_version"]));

    private void Compile(string library, string source)
    {
        NativeLibraries.RequireCompiler();
        NativeLibraries.Compile(files[library], files.Write(source, library + ".c"));
    }
}
