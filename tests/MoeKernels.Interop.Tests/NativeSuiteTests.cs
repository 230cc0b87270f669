namespace MoeKernels.Interop.Tests;

/// <summary>The native tests, which the build of this project has compiled where it found the tools: kernels under the
/// emulator as they are, with address and undefined-behaviour sanitizers, and with the thread sanitizer.</summary>
public sealed class NativeSuiteTests
{
    private static string Folder => Path.Combine(Checkout.Root, "artifacts", "native", "Release");

    [Theory]
    [InlineData("plain")]
    [InlineData("asan")]
    [InlineData("tsan")]
    [InlineData("binary")]
    public void Suite_Passes(string variant)
    {
        Assert.SkipUnless(
            File.Exists(Path.Combine(Folder, "CTestTestfile.cmake")),
            "the native tests were not built: no CMake or no C++ compiler");
        string[] arguments = ["--test-dir", Folder, "-L", $"^{variant}$", "--output-on-failure", "--parallel", "2"];
        var (code, text) = Tool.Run("ctest", arguments);
        Assert.SkipWhen(
            text.Contains("No tests were found", StringComparison.Ordinal), $"no native tests of the kind {variant}");
        Assert.True(code == 0, text);
    }
}
