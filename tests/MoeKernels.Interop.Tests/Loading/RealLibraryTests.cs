namespace MoeKernels.Interop.Tests.Loading;

/// <summary>The library that was built from this checkout, or that <c>MOEK_NATIVE</c> names.</summary>
public class RealLibraryTests
{
    [Fact]
    public void Library_IsAccepted()
    {
        string path = NativeLibraries.RequireReal();
        var library = LibraryLoader.Open(new(path, [], "linux-x64", IsMusl: false));
        Assert.True(library.Abi.Serves(NativeAbi.Bound));
        Assert.NotEmpty(library.Version);
    }

    [Fact]
    public void Exports_AreTheHeadersFunctionsAndNothingElse()
    {
        string path = NativeLibraries.RequireReal();
        string? missing = Tool.Missing("nm");
        Assert.SkipWhen(missing is not null, missing ?? "");
        var (code, text) = Tool.Run("nm", ["-D", "--defined-only", "--format=posix", path]);
        Assert.True(code == 0, text);
        var exports = text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[0]);
        Assert.Equal(EntryPoints.Names.Order(StringComparer.Ordinal), exports.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Handles_KeepTheirContract()
    {
        string path = NativeLibraries.RequireReal();
        Assert.SkipUnless(NativeLibraries.ProcessUsesFake, "this process already runs on it");
        Assert.SkipWhen(Environment.ProcessPath is null, "the path of this program is unknown");

        // One process has one library: another one runs the tests on the real library.
        var (code, text) = Tool.Run(
            Environment.ProcessPath!,
            ["--filter-class", typeof(Lifetimes.HandleContractTests).FullName!, "--progress", "off"],
            ("MOEK_NATIVE", path));
        Assert.True(code == 0, text);
        Assert.Contains("failed: 0", text, StringComparison.Ordinal);
        Assert.Contains("skipped: 0", text, StringComparison.Ordinal);
    }
}
