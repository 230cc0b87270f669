using System.Runtime.CompilerServices;

namespace MoeKernels.Interop.Tests;

/// <summary>The native libraries of these tests: the real one if it was built, and a fake one made with gcc.</summary>
/// <remarks>A process has one library for its P/Invokes: the one that <c>MOEK_NATIVE</c> names, or the fake
/// one.</remarks>
internal static class NativeLibraries
{
    private const string Variable = "MOEK_NATIVE";
    private static readonly string? Chosen = Environment.GetEnvironmentVariable(Variable);
    private static readonly Lazy<string> FakePath = new(MakeFake);

    /// <summary>Whether P/Invokes of this process go to the fake library.</summary>
    public static bool ProcessUsesFake => string.IsNullOrEmpty(Chosen);

    /// <summary>The real library, or <see langword="null"/>.</summary>
    public static string? Real => ProcessUsesFake ? BuiltHere() : Chosen;

    /// <summary>Skips a test where no real library was built.</summary>
    /// <returns>Its path.</returns>
    public static string RequireReal()
    {
        Assert.SkipWhen(Real is null, "no native library was built and MOEK_NATIVE is not set");
        return Real!;
    }

    /// <summary>Skips a test where P/Invokes would find no library.</summary>
    public static void RequireAny()
    {
        if (ProcessUsesFake)
            RequireFake();
    }

    /// <summary>Skips a test where P/Invokes do not go to the fake library.</summary>
    /// <returns>Its path.</returns>
    public static string RequireFake()
    {
        Assert.SkipUnless(ProcessUsesFake, "MOEK_NATIVE names another library");
        RequireCompiler();
        Environment.SetEnvironmentVariable(Variable, FakePath.Value);
        return FakePath.Value;
    }

    /// <summary>Skips a test where nothing can be compiled.</summary>
    public static void RequireCompiler()
    {
        string? missing = Tool.Missing("gcc");
        Assert.SkipWhen(missing is not null, missing ?? "");
    }

    /// <summary>Compiles a library.</summary>
    /// <param name="output">Path of the library.</param>
    /// <param name="sources">C files.</param>
    public static void Compile(string output, params string[] sources)
    {
        var (code, text) = Tool.Run(
            "gcc",
            [
                "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-I", Checkout.Include,
                .. sources, "-o", output,
            ]);
        Assert.True(code == 0, text);
    }

    /// <summary>C source of weak functions, which a library's own ones replace.</summary>
    /// <param name="names">Their names.</param>
    public static string WeakFunctions(IEnumerable<string> names) => string.Concat(
        names.Select(name => $"__attribute__((weak)) int {name}(void) {{ return -13; }}\n"));

    [ModuleInitializer]
    internal static void RememberTheChoice() => RuntimeHelpers.RunClassConstructor(typeof(NativeLibraries).TypeHandle);

    private static string? BuiltHere()
    {
        string folder = Path.Combine(Checkout.Root, "artifacts", "native", "Release");
        return Directory.Exists(folder)
            ? Directory.EnumerateFiles(folder, "libmoekernels.so", SearchOption.AllDirectories).FirstOrDefault() : null;
    }

    private static string MakeFake()
    {
        // It stays loaded until the process ends, so it lies in one place and is made anew by every run.
        string folder = Path.Combine(AppContext.BaseDirectory, "fake");
        Directory.CreateDirectory(folder);
        string stubs = Path.Combine(folder, "stubs.c");
        string library = Path.Combine(folder, $"libfake-{Environment.ProcessId}.so");
        File.WriteAllText(stubs, WeakFunctions(EntryPoints.Names));
        Compile(library, Path.Combine(Checkout.Sources, "fake.c"), stubs);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => File.Delete(library);
        return library;
    }
}

/// <summary>Tests that share the process's native library and run one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class NativeLibraryCollection
{
    /// <summary>Name of the collection.</summary>
    public const string Name = "native library";
}
